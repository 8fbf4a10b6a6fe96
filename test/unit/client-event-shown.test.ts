import { inspect } from "node:util";
import { expect, test } from "vitest";
import { NOWHERE } from "../../shared/client/reader/checkpoint.ts";
import { CimEvent } from "../../shared/client/reader/read-event.ts";

const event = (body: string) =>
  new CimEvent(
    {
      seq: 7,
      timeUs: 0,
      subject: "cim.events.person.ada.PersonCreated",
      headerText: "Nats-Msg-Id: one\r\n",
      body: Buffer.from(body),
    },
    "leaf1",
    NOWHERE,
  );

test("an event that is printed shows what it says, also where its body is no JSON", () => {
  const shown = inspect(event('{"name":"Ada"}'));
  for (const part of [
    "'one'",
    "'person'",
    "'ada'",
    "'PersonCreated'",
    "node: 'leaf1'",
    "data: { name: 'Ada' }",
  ])
    expect(shown).toContain(part);
  expect(inspect(event("\x00\x01"))).toMatch(/data: .*00 01/);
  expect(inspect(event(""))).toContain("PersonCreated");
});

test("an event as JSON loses nothing of what it says", () => {
  expect(JSON.parse(JSON.stringify(event('{"name":"Ada"}')))).toEqual({
    id: "one",
    domain: "person",
    aggregate: "ada",
    type: "PersonCreated",
    time: "1970-01-01T00:00:00.000Z",
    correlationId: "one",
    causationId: "one",
    origin: { node: "leaf1", seq: 7 },
    data: { name: "Ada" },
  });
  expect(JSON.parse(JSON.stringify(event("\x00\x01")))).toMatchObject({ data_base64: "AAE=" });
});
