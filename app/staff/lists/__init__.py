"""Lists of people: populations, files, those who must not be texted."""
