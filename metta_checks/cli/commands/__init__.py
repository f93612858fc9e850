"""The commands of `metta-checks`, one module each, imported when it is used."""
