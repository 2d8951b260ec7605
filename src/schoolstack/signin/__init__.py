"""Walk the real sign-in pages over HTTPS, as a person with a browser would.

Tests, ``school demo`` and the bench sign in through this package, so that what they claim about the
sign-in page is about the page itself and not about an interface beside it.
"""

from schoolstack.signin.browser import Browser, SignInError
from schoolstack.signin.oidc import Tokens, claims, tokens
from schoolstack.signin.totp import Totp
from schoolstack.signin.walk import SignIn, sign_in, sign_out

__all__ = ["Browser", "SignIn", "SignInError", "Tokens", "Totp", "claims", "sign_in", "sign_out", "tokens"]
