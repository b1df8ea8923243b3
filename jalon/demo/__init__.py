"""`jalon demo`: four shoppers' stories, told live in a crowd of synthetic shoppers on a throwaway Jalon."""
