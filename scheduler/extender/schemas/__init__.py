"""What the HTTP API is asked and answers, as types: the page docs/openapi.json is made from them.

Requests are the structs that the decoders use, with the parts filled in that those read later. Answers
have no type in the code that makes them; these are strict, so that a wrong one is found.
"""
