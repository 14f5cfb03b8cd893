"""The features of accounts: one package for each."""
