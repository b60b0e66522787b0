"""The configuration file: what operators write down, read, checked and applied in one transaction.

``reader`` knows YAML and places, ``schema`` what may be written, ``work`` what one run has done so
far; the other modules each apply some sections, and ``run`` puts them in order.
"""
