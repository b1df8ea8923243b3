"""The API: where every customer is, why, and what may come next. It only reads."""
