"""The class list: read it, compare it with the accounts that exist, say what would change, apply on request.

``read`` turns an export of a school administration into a :class:`~schoolstack.roster.model.School`;
``plan`` compares that with the accounts; ``passwords`` and ``sheets`` make what new people need for
their first sign-in. Nothing here talks to a server: the action plugin ``roster`` does.
"""
