"""The control protocol: the messages that the orchestrator and the node programs exchange, one module per role.

Both ends use the same classes: one builds a message and sends `to_json()`, the other reads it by `from_json()`.
`control` carries the JSON objects; `codec` checks and converts them; `limits` holds what both ends agree on.
"""

from hedgerow_node.control import JsonObject
from hedgerow_node.protocol.codec import AtLeast, Between, Message, OneOf, wire_key

__all__ = ["AtLeast", "Between", "JsonObject", "Message", "OneOf", "wire_key"]
