"""The registry over HTTP: the part of Confluent's REST protocol that clients use."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from infra.registry.compatibility import Level
from infra.registry.errors import (
    Refused,
    Unwritten,
    bad_body,
    bad_level,
    bad_schema,
    bad_version,
    no_schema,
    no_subject_config,
)
from infra.registry.registry import SchemaRegistry
from infra.registry.subjects import DEFAULT_LEVEL, Version, compact

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LARGEST = 2**31 - 1
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(registry: SchemaRegistry) -> web.Application:
    """The web application around a registry, which is opened and closed with it."""
    app = web.Application(middlewares=[explain], client_max_size=4 * 1024 * 1024)

    async def running(_: web.Application) -> Any:
        await registry.open()
        yield
        await registry.close()

    app.cleanup_ctx.append(running)
    app.add_routes(Resources(registry).routes())
    return app


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal with the protocol's code and a sentence."""
    try:
        return await handler(request)
    except Refused as refused:
        return problem(refused.status, refused.code, refused.message)
    except Unwritten as error:
        return problem(500, 50002, str(error))
    except web.HTTPException as error:
        return problem(error.status, error.status, f"HTTP {error.status} {error.reason}")


def problem(status: int, code: int, message: str) -> web.Response:
    """An error's answer."""
    return answer({"error_code": code, "message": message}, status)


def answer(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.json_response(body, status=status, content_type=MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class Resources:
    """The protocol's resources, each a method."""

    registry: SchemaRegistry

    def routes(self) -> list[web.RouteDef]:
        """Which path reaches which."""
        subject = "/subjects/{subject}"
        return [
            web.get("/", self.root),
            web.get("/mode", self.mode),
            web.get("/mode/{subject}", self.mode),
            web.get("/schemas", self.schemas),
            web.get("/schemas/types", self.types),
            web.get("/schemas/ids/{id}", self.schema),
            web.get("/schemas/ids/{id}/schema", self.schema_text),
            web.get("/schemas/ids/{id}/versions", self.schema_versions),
            web.get("/schemas/ids/{id}/subjects", self.schema_subjects),
            web.get("/subjects", self.subjects),
            web.post(subject, self.lookup),
            web.delete(subject, self.delete_subject),
            web.get(f"{subject}/versions", self.versions),
            web.post(f"{subject}/versions", self.register),
            web.get(f"{subject}/versions/{{version}}", self.version),
            web.get(f"{subject}/versions/{{version}}/schema", self.version_text),
            web.delete(f"{subject}/versions/{{version}}", self.delete_version),
            web.post(f"/compatibility{subject}/versions", self.check),
            web.post(f"/compatibility{subject}/versions/{{version}}", self.check),
            web.get("/config", self.level),
            web.put("/config", self.set_level),
            web.get("/config/{subject}", self.level),
            web.put("/config/{subject}", self.set_level),
            web.delete("/config/{subject}", self.unset_level),
        ]

    async def root(self, _: web.Request) -> web.Response:
        """That somebody is here."""
        return answer({})

    async def mode(self, _: web.Request) -> web.Response:
        """Always open for changes."""
        return answer({"mode": "READWRITE"})

    async def types(self, _: web.Request) -> web.Response:
        """The kinds of schema that are kept."""
        return answer(["AVRO"])

    async def schemas(self, request: web.Request) -> web.Response:
        """Every version of every subject, or the newest of each."""
        deleted, newest = flag(request, "deleted"), flag(request, "latestOnly")
        every = self.registry.subjects
        found = [
            version
            for name in every.names(deleted=deleted)
            if name.startswith(request.query.get("subjectPrefix", ""))
            for version in every.all(name, deleted=deleted)[-1 if newest else 0 :]
        ]
        return answer([described(version) for version in found])

    async def schema(self, request: web.Request) -> web.Response:
        """A schema by its id."""
        return answer({"schema": await self._schema(request)})

    async def schema_text(self, request: web.Request) -> web.Response:
        """A schema by its id, bare."""
        return web.Response(text=await self._schema(request), content_type=MEDIA_TYPE)

    async def schema_versions(self, request: web.Request) -> web.Response:
        """The subjects and versions that a schema's id is."""
        await self._schema(request)
        found = self.registry.subjects.using(identifier(request), deleted=flag(request, "deleted"))
        return answer([{"subject": v.subject, "version": v.number} for v in found])

    async def schema_subjects(self, request: web.Request) -> web.Response:
        """The subjects that have a schema's id."""
        await self._schema(request)
        found = self.registry.subjects.using(identifier(request), deleted=flag(request, "deleted"))
        return answer(sorted({v.subject for v in found}))

    async def subjects(self, request: web.Request) -> web.Response:
        """The names of all subjects."""
        names = self.registry.subjects.names(deleted=flag(request, "deleted"))
        prefix = request.query.get("subjectPrefix", "")
        return answer([name for name in names if name.startswith(prefix)])

    async def lookup(self, request: web.Request) -> web.Response:
        """The version of a subject that the given schema is."""
        subject, deleted = request.match_info["subject"], flag(request, "deleted")
        schema = compact(await posted_schema(request))
        self.registry.subjects.versions(subject, deleted=deleted)
        found = self.registry.subjects.same(subject, schema, deleted=deleted)
        if found is None:
            raise no_schema()
        return answer(described(found))

    async def versions(self, request: web.Request) -> web.Response:
        """The numbers of a subject's versions."""
        subject = request.match_info["subject"]
        found = self.registry.subjects.versions(subject, deleted=flag(request, "deleted"))
        return answer([version.number for version in found])

    async def register(self, request: web.Request) -> web.Response:
        """Make the given schema the subject's next version."""
        version = await self.registry.register(
            request.match_info["subject"], await posted_schema(request)
        )
        return answer({"id": version.id, "version": version.number, "schema": version.schema})

    async def version(self, request: web.Request) -> web.Response:
        """One version of a subject."""
        return answer(described(self._version(request)))

    async def version_text(self, request: web.Request) -> web.Response:
        """One version's schema, bare."""
        return web.Response(text=self._version(request).schema, content_type=MEDIA_TYPE)

    async def check(self, request: web.Request) -> web.Response:
        """Whether the given schema could be registered."""
        subject = request.match_info["subject"]
        schema = compact(await posted_schema(request))
        number = None
        if "version" in request.match_info:
            number = self._version(request).number
        reasons = self.registry.breaks(subject, schema, number)
        verbose = {"messages": reasons} if flag(request, "verbose") else {}
        return answer({"is_compatible": not reasons, **verbose})

    async def delete_subject(self, request: web.Request) -> web.Response:
        """Hide a subject."""
        refuse_permanent(request)
        return answer(await self.registry.delete_subject(request.match_info["subject"]))

    async def delete_version(self, request: web.Request) -> web.Response:
        """Hide one version of a subject."""
        refuse_permanent(request)
        subject, number = request.match_info["subject"], version_number(request)
        return answer(await self.registry.delete_version(subject, number))

    async def level(self, request: web.Request) -> web.Response:
        """The compatibility level of a subject, or of all."""
        subject = request.match_info.get("subject")
        level = self.registry.subjects.level(subject)
        if level is None and subject is not None:
            if not flag(request, "defaultToGlobal"):
                raise no_subject_config(subject)
            level = self.registry.subjects.level(None)
        return answer({"compatibilityLevel": level or DEFAULT_LEVEL})

    async def set_level(self, request: web.Request) -> web.Response:
        """Set the compatibility level of a subject, or of all."""
        wanted = (await posted(request)).get("compatibility")
        try:
            level = Level(str(wanted).upper())
        except ValueError:
            raise bad_level(wanted) from None
        await self.registry.set_level(request.match_info.get("subject"), level)
        return answer({"compatibility": level})

    async def unset_level(self, request: web.Request) -> web.Response:
        """Let a subject follow the global level again."""
        level = await self.registry.unset_level(request.match_info["subject"])
        return answer({"compatibilityLevel": level})

    async def _schema(self, request: web.Request) -> str:
        schema = await self.registry.schema(identifier(request))
        if schema is None:
            raise no_schema()
        return schema

    def _version(self, request: web.Request) -> Version:
        subject, number = request.match_info["subject"], version_number(request)
        deleted = flag(request, "deleted")
        return self.registry.subjects.version(subject, number, deleted=deleted)


def described(version: Version) -> dict[str, object]:
    """A version as the protocol shows it."""
    return {
        "subject": version.subject,
        "version": version.number,
        "id": version.id,
        "schema": version.schema,
    }


def flag(request: web.Request, name: str) -> bool:
    """A yes-or-no parameter; no when absent."""
    return request.query.get(name, "").lower() == "true"


def identifier(request: web.Request) -> int:
    """The schema id in the path; one that is no number is one that nothing has."""
    said = request.match_info["id"]
    return int(said) if said.isascii() and said.isdigit() else 0


def version_number(request: web.Request) -> int | None:
    """The version in the path; None for the latest.

    Raises:
        Refused: It is neither a number nor the latest.
    """
    said = request.match_info["version"]
    if said in {"latest", "-1"}:
        return None
    if not (said.isascii() and said.isdigit() and 1 <= int(said[:11]) <= LARGEST):
        raise bad_version(said)
    return int(said)


def refuse_permanent(request: web.Request) -> None:
    """Refuse to forget a schema for good."""
    if flag(request, "permanent"):
        raise bad_body(
            "schemas are only hidden, never deleted for good: "
            "records written with them must stay readable"
        )


async def posted(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        Refused: It is none.
    """
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise bad_body(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_body("the body is not a JSON object")
    return body


async def posted_schema(request: web.Request) -> str:
    """The schema in the request's body.

    Raises:
        Refused: There is none, or it is of a kind that is not kept here.
    """
    body = await posted(request)
    schema = body.get("schema")
    if body.get("schemaType") not in {None, "AVRO"}:
        raise bad_schema(f"only AVRO is kept here, not {body['schemaType']!r}")
    if body.get("references"):
        raise bad_schema("references are not supported: put the referenced types into the schema")
    if not isinstance(schema, str):
        raise bad_schema('the body has no text "schema"')
    return schema
