"""The configuration file: what operators write down, read, checked and applied in one transaction.

``reader`` knows YAML and places, ``work`` what one run has done so far; ``clients``, ``sections``
and ``routes`` hand each thing to the module that saves it, and ``run`` puts them in order.
"""
