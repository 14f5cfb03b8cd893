"""Why a visitor is, or is not, signed in: requests recorded, drawn and diagnosed."""
