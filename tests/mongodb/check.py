"""Checks that a collection holds exactly the events that were sent: check.py URI COUNT

The events are those of `logmon-bin/tests/it/mongodb.rs`: numbered from 0, each with what its number
says. Read with MongoDB's own driver, so that nothing of logmon is believed.
"""

import sys

import pymongo

TIME = 1_767_323_045


def expected(n: int) -> dict:
    return {
        "message": f"event {n} of the test",
        "level": ["INFO", "WARN", "ERROR"][n % 3],
        "source": f"source-{n % 7}",
        "tag": "app.test",
    }


def main() -> None:
    uri, count = sys.argv[1], int(sys.argv[2])
    collection = pymongo.MongoClient(uri, serverSelectionTimeoutMS=20_000).get_default_database()["logs"]
    seen = bytearray(count)
    total = 0
    for document in collection.find({}, batch_size=10_000):
        total += 1
        n = document["metadata"]["n"]
        if seen[n]:
            sys.exit(f"event {n} is there twice")
        seen[n] = 1
        for key, value in expected(n).items():
            if document.get(key) != value:
                sys.exit(f"event {n} has {key} = {document.get(key)!r} in place of {value!r}")
        metadata = {"n": n, "http": {"status": 200 + n % 300}, "tags": ["a", n]}
        if document["metadata"] != metadata:
            sys.exit(f"event {n} has the metadata {document['metadata']!r}")
        if int(document["timestamp"].timestamp()) != TIME + n % 1000 + offset(document):
            sys.exit(f"event {n} has the time {document['timestamp']}")
    if total != count:
        missing = [n for n in range(count) if not seen[n]]
        again = sum(1 for _ in collection.find({}, batch_size=10_000))
        by_query = [n for n in missing[:30] if collection.find_one({"metadata.n": n})]
        sys.exit(
            f"{total} documents in place of {count}; missing {missing[:30]}; read again: {again}, "
            f"counted by the server: {collection.count_documents({})}, found one by one: {by_query}"
        )
    print(f"{total} documents, each once")


def offset(document: dict) -> int:
    """Times come without a zone and are UTC; Python would take them for local ones."""
    import datetime

    stamp = document["timestamp"]
    return int(stamp.timestamp()) - int(stamp.replace(tzinfo=datetime.timezone.utc).timestamp())


if __name__ == "__main__":
    main()
