import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { createUserKey } from "../../shared/nats/nkeys.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { type CimOptions, cim } from "../support/cim-command.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** `cim` and programs as one of the users in `nats.users`, on a real server that takes nobody else. */

const PASSWORD = "correct horse";
const HASH = "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const key = createUserKey();

let dir: TempDir;
let fleet: NatsFleet;
let url: string;
const file = (name: string) => join(dir.path, name);

beforeAll(async () => {
  dir = await tempDir("cim-users-");
  const secrets = {
    "events.bcrypt": HASH,
    "events.password": PASSWORD,
    wrong: "guess",
    "events.nk": key.seed,
  };
  for (const [name, text] of Object.entries(secrets))
    await writeFile(file(name), `${text}\n`, { mode: 0o600 });
  fleet = await startNatsFleet({
    leaves: [],
    configure: (config) => ({
      ...config,
      nats: {
        ...config.nats,
        anonymousApp: false,
        users: [
          { name: "cim-events", publicKey: key.publicKey },
          { name: "cim-events", passwordHashFile: file("events.bcrypt") },
        ],
      },
    }),
  });
  url = fleet.config("hub").nats.url;
  const agent = await fleet.connect("hub", "agent");
  const limits = { maxBytes: 64 * 1024 * 1024, maxPayload: 8 * 1024 * 1024 };
  await jetStreamApi(agent, "STREAM.CREATE.CIM_OUTBOX", outboxStream(limits));
  await jetStreamApi(agent, "STREAM.CREATE.CIM_EVENTS", eventsStream({ maxBytes: null }));
  await agent.request("cim.log.person.ada.PersonCreated", "{}", { timeout: 20_000 });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await dir?.[Symbol.asyncDispose]();
});

/** Without what the tests' own environment may say. */
const run = (args: string[], env: CimOptions["env"] = {}) =>
  cim([...args, "--server", url], {
    env: {
      CIM_NATS_SEED_FILE: undefined,
      CIM_NATS_USER: undefined,
      CIM_NATS_PASSWORD_FILE: undefined,
      ...env,
    },
  });
const publish = ["events", "publish", "person", "ada", "PersonMoved"];

test.each<[string, (path: typeof file) => { args?: string[]; env?: CimOptions["env"] }]>([
  ["a seed's file", (path) => ({ args: ["--seed-file", path("events.nk")] })],
  ["a seed's file in the environment", (path) => ({ env: { CIM_NATS_SEED_FILE: path("events.nk") } })],
  [
    "user and password's file",
    (path) => ({ args: ["--user", "cim-events", "--password-file", path("events.password")] }),
  ],
  [
    "user and password's file in the environment",
    (path) => ({ env: { CIM_NATS_USER: "cim-events", CIM_NATS_PASSWORD_FILE: path("events.password") } }),
  ],
  [
    "options rather than the environment",
    (path) => ({
      args: ["--seed-file", path("events.nk")],
      env: { CIM_NATS_USER: "cim-events", CIM_NATS_PASSWORD_FILE: path("wrong") },
    }),
  ],
])("cim writes and reads with %s", async (_, how) => {
  const { args = [], env } = how(file);
  const written = await run([...publish, ...args], env);
  expect(written, written.stderr).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("of its outbox"),
  });
  const tail = ["events", "tail", "--from", "start", "--limit", "1", "--json"];
  const read = await run([...tail, ...args], env);
  expect(read, read.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining("PersonCreated") });
});

test.each<[string, number, (path: typeof file) => string[], RegExp]>([
  ["nobody", 1, () => [], /refuses clients without credentials/],
  [
    "a wrong password",
    1,
    (path) => ["--user", "cim-events", "--password-file", path("wrong")],
    /refuses user cim-events/,
  ],
  [
    "a password that is not there",
    2,
    (path) => ["--user", "cim-events", "--password-file", path("gone")],
    /cannot read the password \S+gone: /,
  ],
])("%s: one line, exit code %i", async (_, code, args, line) => {
  const said = await run([...publish, ...args(file)]);
  expect(said).toEqual({ code, stdout: "", stderr: expect.stringMatching(/^cim: [^\n]+\n$/) });
  expect(said.stderr).toMatch(line);
});

test("a program connects by user and password's file, or by seed's file", async () => {
  const event = { domain: "person", aggregate: "ada", type: "PersonMoved" };
  for (const who of [
    { user: "cim-events", passwordFile: file("events.password") },
    { seedFile: file("events.nk") },
  ]) {
    await using client = await connectCim({ url, ...who });
    expect(await client.append(event)).toMatchObject({ node: "hub" });
  }
  await expect(connectCim({ url, user: "cim-events", passwordFile: file("wrong") })).rejects.toThrow(
    /refuses user cim-events/,
  );
  await chmod(file("wrong"), 0o644);
  await expect(connectCim({ url, user: "cim-events", passwordFile: file("wrong") })).rejects.toThrow(
    /^\S+wrong holds a password but everybody can read it: chmod 600 /,
  );
});
