"""Make a realm of Keycloak match a description, changing only what differs.

The description has the shape of Keycloak's own RealmRepresentation (what an export of a realm looks like),
reduced to what we care about: a key that is not described is never touched. One request reads the whole
realm; comparing is plain Python, and each difference is a :class:`Change`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.keycloak_admin import KeycloakAdmin

# What is converged by steps of its own, and not as a setting of the realm.
PARTS = (
    "roles",
    "groups",
    "clientScopes",
    "scopeMappings",
    "clients",
    "authenticationFlows",
    "requiredActions",
    "userProfile",
    "localizationTexts",
)

# What a client or client scope holds that has a path of its own in the Admin API.
LINKED = (
    "protocolMappers",
    "defaultClientScopes",
    "optionalClientScopes",
    "authenticationFlowBindingOverrides",
)

SECRETS = ("secret", "password")
HIDDEN = "(hidden)"

CLIENT_SCOPE_LISTS = {
    "defaultClientScopes": "default-client-scopes",
    "optionalClientScopes": "optional-client-scopes",
}

# Stands for the id of what does not exist yet.
NEW = "new"

Path = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One difference: where, what was found, and what it becomes. ``None`` is "absent"."""

    where: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """Return the change as one readable line, with secrets hidden."""
        secret = self.where.rpartition(".")[2] in SECRETS
        before, after = (HIDDEN if secret and value else _short(value) for value in (self.before, self.after))
        if self.before is None:
            return f"{self.where}: add {after}"
        if self.after is None:
            return f"{self.where}: remove {before}"
        return f"{self.where}: {before} -> {after}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


def differences(wanted: Any, found: Any, where: str) -> list[Change]:
    """Compare what is wanted with what was found; keys that are not wanted are not compared.

    Lists of plain values are sets to Keycloak, so their order does not count. A password policy is such a
    list in one string.

    Args:
        wanted: the description.
        found: what Keycloak has; ``None`` when it has nothing.
        where: the place, for people.
    """
    if isinstance(wanted, Mapping):
        found = found if isinstance(found, Mapping) else {}
        return [
            change
            for key in wanted
            for change in differences(wanted[key], found.get(key), f"{where}.{key}".strip("."))
        ]
    if isinstance(wanted, list) and all(not isinstance(item, Mapping | list) for item in wanted):
        same = sorted(map(str, wanted)) == sorted(map(str, found or []))
    elif where.endswith("passwordPolicy"):
        same = set(wanted.split(" and ")) == set((found or "").split(" and "))
    else:
        # Keycloak leaves out what is empty.
        same = wanted == found or (wanted in ("", None) and found in ("", None))
    return [] if same else [Change(where, found, wanted)]


def merged(found: Any, wanted: Any) -> Any:
    """Return what was found with what is wanted laid over it, mapping by mapping."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return {**found, **{key: merged(found.get(key), value) for key, value in wanted.items()}}
    return wanted


def by(key: str, items: Iterable[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Index a list of mappings by one of their keys."""
    return {item[key]: item for item in items or []}


def report(changes: list[Change]) -> dict[str, Any]:
    """Return the changes as a module's result: whether, what, and a diff without secrets."""
    lines = [str(change) for change in changes]
    return {
        "changed": bool(changes),
        "changes": lines,
        "diff": {"prepared": "".join(f"{line}\n" for line in lines)},
    }


class Realm:
    """One realm: what it is, what it should be, and the steps between.

    Attributes:
        changes: what differed, in the order in which it was put right.
    """

    def __init__(self, admin: KeycloakAdmin, name: str, check: bool) -> None:
        """Read the realm.

        Args:
            admin: the connection to Keycloak.
            name: the realm's name.
            check: whether to only tell what would change.

        Raises:
            KeycloakError: Keycloak does not answer or refuses.
        """
        self._admin = admin
        self._name = name
        self._check = check
        self.changes: list[Change] = []
        self._found = self._read()

    def converge(self, wanted: Mapping[str, Any]) -> None:
        """Make the realm match a description; what others refer to comes first.

        Args:
            wanted: the description.

        Raises:
            KeycloakError: a request was refused; what was done before stays, and a next run goes on.
        """
        if not self._found:
            self._write(Change("realm", None, self._name), self._admin.post, (), {"realm": self._name})
            if not self._check:
                # Until Keycloak 26.7 a token holds no rights on a realm that is younger than the token.
                self._admin.sign_in()
            self._found = self._read()
        roles = wanted.get("roles", {})
        self._roles(None, roles.get("realm", []))
        self._flows(wanted.get("authenticationFlows", []))
        self._client_scopes(wanted.get("clientScopes", []))
        self._clients(wanted.get("clients", []))
        for client, its_roles in roles.get("client", {}).items():
            self._roles(client, its_roles)
        self._composites(roles.get("realm", []))
        self._scope_mappings(wanted.get("scopeMappings", []))
        self._groups(wanted.get("groups", []), self._found.get("groups"))
        self._required_actions(wanted.get("requiredActions", []))
        for language, texts in wanted.get("localizationTexts", {}).items():
            found = self._found.get("localizationTexts", {}).get(language)
            path = self._at("localization", language)
            self._write(differences(texts, found, f"text.{language}"), self._admin.post, path, texts)
        if "userProfile" in wanted:
            self._user_profile(wanted["userProfile"])
        self._settings({key: value for key, value in wanted.items() if key not in PARTS})

    def remove_client(self, client: str, flow: str) -> None:
        """Delete a client, with its roles, and the flow that only it used.

        Args:
            client: the client's ``clientId``.
            flow: the flow's alias.

        Raises:
            KeycloakError: a request was refused; what was done before stays, and a next run goes on.
        """
        has = by("clientId", self._found.get("clients")).get(client)
        if has:
            where = f"client.{client}"
            self._write(Change(where, client, None), self._admin.delete, self._at("clients", has["id"]))
        # Keycloak deletes no flow that a client refers to, and with a flow those inside it.
        has = by("alias", self._found.get("authenticationFlows")).get(flow)
        if has:
            path = self._at("authentication", "flows", has["id"])
            self._write(Change(f"flow.{flow}", flow, None), self._admin.delete, path)

    # Reading and writing

    def _read(self) -> dict[str, Any]:
        """Return the whole realm as an export shows it; empty when there is no such realm."""
        if self._admin.get(self._name) is None:
            return {}
        return dict(
            self._admin.post(self._name, "partial-export", exportClients="true", exportGroupsAndRoles="true")
        )

    def _at(self, *path: str) -> Path:
        return (self._name, *path)

    def _write(
        self, changes: Change | list[Change], call: Callable[..., Any], path: Path, body: Any = None
    ) -> Any:
        """Note what differs and put it right with one request, unless this is a dry run.

        Args:
            changes: what differs; with an empty list nothing is done.
            call: the method of the connection.
            path: where to.
            body: what to send.

        Returns:
            The answer; :data:`NEW` in a dry run.
        """
        changes = changes if isinstance(changes, list) else [changes]
        self.changes += changes
        if not changes or self._check:
            return NEW
        return call(*path, body=body)

    def _client_id(self, client: str) -> str:
        """Return the internal id of a client."""
        return str(by("clientId", self._found.get("clients")).get(client, {}).get("id", NEW))

    def _role_path(self, client: str | None) -> Path:
        return self._at("clients", self._client_id(client), "roles") if client else self._at("roles")

    def _found_roles(self, client: str | None) -> dict[str, Any]:
        roles = self._found.get("roles", {})
        return by("name", roles.get("client", {}).get(client) if client else roles.get("realm"))

    def _links(
        self, where: str, wanted: list[str], found: list[str] | None, path: Path, client: str | None = None
    ) -> None:
        """Match the set of roles, of the realm or of a client, that hangs on something else."""
        for name in sorted(set(wanted) ^ set(found or [])):
            role = self._admin.get(*self._role_path(client), name)
            if name in wanted:
                self._write(Change(where, None, name), self._admin.post, path, [role])
            else:
                self._write(Change(where, name, None), self._admin.delete, path, [role])

    # The steps

    def _settings(self, wanted: Mapping[str, Any]) -> None:
        # All of them are sent: Keycloak takes some settings, such as those of passkeys, only together.
        changes = differences(wanted, self._found, "")
        settings = self._admin.get(*self._at()) if changes else None
        self._write(changes, self._admin.put, self._at(), merged(settings, wanted))

    def _roles(self, client: str | None, wanted: list[Mapping[str, Any]]) -> None:
        known = self._found_roles(client)
        for role in wanted:
            where = f"role.{client}.{role['name']}" if client else f"role.{role['name']}"
            body = _without(role, ["composites"])
            has = known.get(role["name"])
            if has:
                path = self._at("roles-by-id", has["id"])
                self._write(differences(body, has, where), self._admin.put, path, merged(has, body))
            else:
                self._write(
                    Change(where, None, role["name"]), self._admin.post, self._role_path(client), body
                )

    def _composites(self, wanted: list[Mapping[str, Any]]) -> None:
        """Match the roles that a role brings along; those of clients that are not described stay."""
        known = self._found_roles(None)
        for role in wanted:
            brings = role.get("composites", {})
            has = known.get(role["name"], {}).get("composites", {})
            where = f"role.{role['name']}.brings"
            path = (*self._role_path(None), role["name"], "composites")
            if "realm" in brings:
                self._links(where, brings["realm"], has.get("realm"), path)
            for client, names in brings.get("client", {}).items():
                self._links(f"{where}.{client}", names, has.get("client", {}).get(client), path, client)

    def _groups(
        self, wanted: list[Mapping[str, Any]], found: list[Any] | None, parent: str = "", parent_id: str = ""
    ) -> None:
        """Match the described groups; other groups, such as classes, stay."""
        known = by("name", found)
        path = self._at("groups", parent_id, "children") if parent_id else self._at("groups")
        for group in wanted:
            name = f"{parent}/{group['name']}"
            has = known.get(group["name"])
            if not has:
                answer = self._write(
                    Change(f"group.{name}", None, name), self._admin.post, path, {"name": group["name"]}
                )
                # For a group inside another, Keycloak answers with the group, otherwise with its place.
                has = answer if isinstance(answer, Mapping) else {"id": answer}
            if attributes := group.get("attributes"):
                self._write(
                    differences(attributes, has.get("attributes"), f"group.{name}"),
                    self._admin.put,
                    self._at("groups", has["id"]),
                    {"name": group["name"], "attributes": merged(has.get("attributes") or {}, attributes)},
                )
            roles_path = self._at("groups", has["id"], "role-mappings", "realm")
            self._links(f"group.{name}.roles", group.get("realmRoles", []), has.get("realmRoles"), roles_path)
            self._groups(group.get("subGroups", []), has.get("subGroups"), name, has["id"])

    def _client_scopes(self, wanted: list[Mapping[str, Any]]) -> None:
        known = by("name", self._found.get("clientScopes"))
        for scope in wanted:
            where = f"client scope.{scope['name']}"
            body = _without(scope, LINKED)
            has = known.get(scope["name"])
            if has:
                path = self._at("client-scopes", has["id"])
                self._write(
                    differences(body, has, where), self._admin.put, path, merged(_without(has, LINKED), body)
                )
            else:
                scope_id = self._write(
                    Change(where, None, scope["name"]), self._admin.post, self._at("client-scopes"), body
                )
                has = {"name": scope["name"], "id": scope_id}
                self._found.setdefault("clientScopes", []).append(has)
            self._mappers(where, scope["protocolMappers"], has, self._at("client-scopes", has["id"]))

    def _mappers(
        self, where: str, wanted: list[Mapping[str, Any]], owner: Mapping[str, Any], path: Path
    ) -> None:
        """Match the claims that a client or client scope adds: exactly the described ones."""
        path = (*path, "protocol-mappers", "models")
        spare = by("name", owner.get("protocolMappers"))
        for mapper in wanted:
            place = f"{where}.claim.{mapper['name']}"
            has = spare.pop(mapper["name"], None)
            if has:
                self._write(
                    differences(mapper, has, place), self._admin.put, (*path, has["id"]), merged(has, mapper)
                )
            else:
                self._write(Change(place, None, mapper["config"]), self._admin.post, path, mapper)
        for name, has in spare.items():
            self._write(Change(f"{where}.claim.{name}", name, None), self._admin.delete, (*path, has["id"]))

    def _clients(self, wanted: list[Mapping[str, Any]]) -> None:
        known = by("clientId", self._found.get("clients"))
        flows = {flow["alias"]: flow["id"] for flow in self._found.get("authenticationFlows", [])}
        for client in wanted:
            where = f"client.{client['clientId']}"
            body = _without(client, LINKED)
            if "authenticationFlowBindingOverrides" in client:
                body["authenticationFlowBindingOverrides"] = {
                    kind: flows.get(alias, "")
                    for kind, alias in client["authenticationFlowBindingOverrides"].items()
                }
            has = known.get(client["clientId"])
            if has:
                path = self._at("clients", has["id"])
                if "secret" in body:
                    # An export masks it.
                    has["secret"] = self._admin.get(*path, "client-secret").get("value")
                self._write(
                    differences(body, has, where), self._admin.put, path, merged(_without(has, LINKED), body)
                )
            else:
                client_id = self._write(
                    Change(where, None, client["clientId"]), self._admin.post, self._at("clients"), body
                )
                path = self._at("clients", client_id)
                # Keycloak gives a new client scopes of its own choice.
                has = self._admin.get(*path) or {"clientId": client["clientId"], "id": NEW}
                self._found.setdefault("clients", []).append(has)
            if "protocolMappers" in client:
                self._mappers(where, client["protocolMappers"], has, path)
            for key, place in CLIENT_SCOPE_LISTS.items():
                if key in client:
                    self._client_scope_links(f"{where}.{key}", client[key], has.get(key), (*path, place))

    def _client_scope_links(self, where: str, wanted: list[str], found: list[str] | None, path: Path) -> None:
        ids = {scope["name"]: scope["id"] for scope in self._found.get("clientScopes", [])}
        # Away first: a scope cannot be a default and an option of one client at once.
        for name in sorted(set(found or []) - set(wanted)):
            self._write(Change(where, name, None), self._admin.delete, (*path, ids[name]))
        for name in sorted(set(wanted) - set(found or [])):
            self._write(Change(where, None, name), self._admin.put, (*path, ids.get(name, NEW)))

    def _scope_mappings(self, wanted: list[Mapping[str, Any]]) -> None:
        """Match which roles a client scope lets into a token."""
        found = {
            mapping["clientScope"]: mapping["roles"]
            for mapping in self._found.get("scopeMappings", [])
            if "clientScope" in mapping
        }
        ids = {scope["name"]: scope["id"] for scope in self._found.get("clientScopes", [])}
        for mapping in wanted:
            name = mapping["clientScope"]
            path = self._at("client-scopes", ids.get(name, NEW), "scope-mappings", "realm")
            self._links(f"client scope.{name}.roles", mapping["roles"], found.get(name), path)

    def _required_actions(self, wanted: list[Mapping[str, Any]]) -> None:
        known = by("alias", self._found.get("requiredActions"))
        for action in wanted:
            alias = action["alias"]
            has = known.get(alias, {})
            changes = differences(action, has, f"required action.{alias}")
            path = self._at("authentication", "required-actions", alias)
            self._write(changes, self._admin.put, path, merged(has, action))

    def _user_profile(self, wanted: Mapping[str, Any]) -> None:
        path = self._at("users", "profile")
        found = self._admin.get(*path) or {}
        indexed, has = (
            {**profile, "attributes": by("name", profile.get("attributes"))} for profile in (wanted, found)
        )
        changes = differences(indexed, has, "user profile")
        # Their order is the order on the page.
        if list(indexed["attributes"]) != list(has["attributes"]):
            changes.append(
                Change("user profile.attributes", list(has["attributes"]), list(indexed["attributes"]))
            )
        self._write(changes, self._admin.put, path, wanted)

    # Flows: the steps of a sign-in

    def _flows(self, wanted: list[Mapping[str, Any]]) -> None:
        for flow in wanted:
            alias = flow["alias"]
            if alias not in by("alias", self._found.get("authenticationFlows")):
                body = {"alias": alias, "providerId": "basic-flow", "topLevel": True, "builtIn": False}
                path = self._at("authentication", "flows")
                flow_id = self._write(Change(f"flow.{alias}", None, alias), self._admin.post, path, body)
                self._found.setdefault("authenticationFlows", []).append({"alias": alias, "id": flow_id})
            if flow_tree(flow["steps"]) != self._found_tree(alias):
                self._steps(alias, flow["steps"])

    def _found_tree(self, alias: str) -> list[Any]:
        """Return the steps of a flow as they were read, in the shape of :func:`flow_tree`."""
        flows = by("alias", self._found.get("authenticationFlows"))
        settings = by("alias", self._found.get("authenticatorConfig"))
        return [
            (
                step.get("authenticator") or step["flowAlias"],
                step["requirement"],
                settings.get(step.get("authenticatorConfig"), {}).get("config", {}),
                self._found_tree(step["flowAlias"]) if step.get("flowAlias") else [],
            )
            for step in flows.get(alias, {}).get("authenticationExecutions", [])
        ]

    def _steps(self, flow: str, wanted: list[Mapping[str, Any]]) -> None:
        """Match the steps of one flow in place: what is missing is added before anything is taken away.

        So a flow in use never asks for less than it did, however the run ends.
        """
        path = self._at("authentication", "flows", flow, "executions")
        spare = self._executions(path)
        for priority, step in enumerate(wanted, start=1):
            name = step.get("step") or step["flow"]
            where = f"flow.{flow}.{name}"
            setting = {"requirement": step["requirement"], "priority": priority}
            has = next((one for one in spare if name in (one.get("providerId"), one["displayName"])), None)
            if has:
                spare.remove(has)
            else:
                kind, body = ("execution", {"provider": name})
                if "flow" in step:
                    kind, body = ("flow", {"alias": name, "type": "basic-flow"})
                self._write(Change(where, None, step["requirement"]), self._admin.post, (*path, kind), body)
                # The newest step is the last.
                has = {**(self._executions(path) or [{}])[-1], **setting}
                if not self._check:
                    self._admin.put(*path, body=has)
            self._write(differences(setting, has, where), self._admin.put, path, {**has, **setting})
            self._step_settings(where, has, step.get("config", {}))
            if "flow" in step:
                self._steps(name, step["steps"])
        for has in spare:
            gone = Change(f"flow.{flow}.{has['displayName']}", has["requirement"], None)
            self._write(gone, self._admin.delete, self._at("authentication", "executions", has["id"]))

    def _executions(self, path: Path) -> list[dict[str, Any]]:
        """Return the steps of one flow, without those of the flows inside it."""
        return [step for step in self._admin.get(*path) or [] if step["level"] == 0]

    def _step_settings(self, where: str, has: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
        """Match the settings of one step."""
        config_id = has.get("authenticationConfig")
        path = self._at("authentication", "config", config_id or NEW)
        found = (self._admin.get(*path) if config_id else None) or {}
        changes = differences(wanted, found.get("config"), where)
        if found:
            self._write(changes, self._admin.put, path, {**found, "config": wanted})
        else:
            # The alias of settings must be the only one of its kind in the realm.
            step_id = has.get("id", NEW)
            path = self._at("authentication", "executions", step_id, "config")
            self._write(changes, self._admin.post, path, {"alias": f"school {step_id}", "config": wanted})


def flow_tree(steps: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return described steps as (name, requirement, settings, inner steps), to be compared."""
    return [
        (
            step.get("step") or step["flow"],
            step["requirement"],
            step.get("config", {}),
            flow_tree(step.get("steps", [])),
        )
        for step in steps
    ]


def _without(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
