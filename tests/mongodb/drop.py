"""Drops the database of a test: drop.py URI"""

import sys

import pymongo

database = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20_000).get_default_database()
if not database.name.startswith("logmon_test_"):
    sys.exit(f"{database.name} is no database of a test")
database.client.drop_database(database.name)
