"""Sends the events that standard input describes, with PyPI's fluent-logger."""

import json
import sys

from fluent import asyncsender, sender


def main():
    job = json.load(sys.stdin)
    variant = {"sync": sender, "async": asyncsender}[job["variant"]]
    client = variant.FluentSender(
        job["tag"],
        host=job["host"],
        port=job["port"],
        nanosecond_precision=job.get("nanosecond_precision", False),
    )
    for event in job["events"]:
        label, record = event["label"], event["record"]
        if event["time"] is None:
            was_taken = client.emit(label, record)
        else:
            seconds, nanos = event["time"]
            time = seconds if nanos is None else sender.EventTime(seconds, nanos)
            was_taken = client.emit_with_time(label, time, record)
        if not was_taken or client.last_error is not None:
            sys.exit(f"not sent: {event}: {client.last_error}")
    client.close()


main()
