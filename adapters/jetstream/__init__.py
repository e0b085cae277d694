"""The bus on NATS JetStream: a carrier that may lose everything, because the store has it all.

server       a nats-server of our own, as a supervised child
connection   one connection that comes back by itself; foreign errors end here
api          requests to JetStream, and their errors as ours
topology     the names of subjects, streams and consumers, and how they are made
publisher    events out, in order, fenced
feed         events in, live
tasks        the work queue: one message per task
endpoints    answers to requests, as NATS micro services
discovery    what such a service tells about itself
client       requests, commands, and who is there
reply        errors as headers and JSON, and back
"""
