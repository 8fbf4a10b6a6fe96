import { expect, test } from "vitest";
import { type UserOptions, userOf } from "../../cli/user-options.ts";

const file = { CIM_NATS_PASSWORD_FILE: "/env/password" };
const inEnvironment = { CIM_NATS_USER: "cim-sagas", ...file };

test.each<[UserOptions, NodeJS.ProcessEnv, UserOptions]>([
  [{}, {}, {}],
  [{ seedFile: "/seed" }, inEnvironment, { seedFile: "/seed" }],
  [{}, { CIM_NATS_SEED_FILE: "/env/seed" }, { seedFile: "/env/seed" }],
  [{}, inEnvironment, { user: "cim-sagas", passwordFile: "/env/password" }],
  [{ user: "cim-events" }, inEnvironment, { user: "cim-events", passwordFile: "/env/password" }],
  [{ passwordFile: "/password" }, inEnvironment, { user: "cim-sagas", passwordFile: "/password" }],
  [
    { user: "cim-events", passwordFile: "/password" },
    { CIM_NATS_SEED_FILE: "/env/seed" },
    { user: "cim-events", passwordFile: "/password" },
  ],
  [{}, { CIM_NATS_USER: "", CIM_NATS_SEED_FILE: "" }, {}],
])("%j with %j in the environment is %j", (options, env, credentials) => {
  expect(userOf(options, env)).toEqual(credentials);
});

test.each<[UserOptions, NodeJS.ProcessEnv, RegExp]>([
  [{ user: "cim-events" }, {}, /^--user: [^\n]+ write --password-file too$/],
  [{ passwordFile: "/password" }, {}, /^--password-file: [^\n]+ write --user too$/],
  [{ seedFile: "/seed", user: "cim-events" }, {}, /^--seed-file and --user are two ways [^\n]+$/],
  [{}, { CIM_NATS_USER: "cim-sagas" }, /^CIM_NATS_USER: [^\n]+ write CIM_NATS_PASSWORD_FILE too$/],
  [
    {},
    { CIM_NATS_SEED_FILE: "/seed", ...inEnvironment },
    /^CIM_NATS_SEED_FILE and CIM_NATS_USER are two ways /,
  ],
])("%j with %j in the environment is refused", (options, env, line) => {
  expect(() => userOf(options, env)).toThrow(line);
});
