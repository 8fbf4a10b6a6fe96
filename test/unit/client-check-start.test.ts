import { expect, test } from "vitest";
import { checkNodeVersion, checkServerUrl } from "../../shared/client/check-start.ts";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { decodeCheckpoint } from "../../shared/client/reader/checkpoint.ts";
import { CheckpointInvalid } from "../../shared/client/reader/reader-errors.ts";
import { isReaderName } from "../../shared/protocol/names.ts";

test("a Node that lacks what the library uses is told before anything is done", () => {
  expect(() => checkNodeVersion("20.20.2")).toThrow(/^cim needs Node 22 or newer, and this is 20.20.2: run/);
  for (const version of ["22.0.0", "24.21.0", "26.1.0"]) checkNodeVersion(version);
  checkNodeVersion();
});

test("what is no server's URL is told at once, by its name, and is not tried for ten seconds", async () => {
  for (const url of ["http://127.0.0.1:4222", "nats://a b", "", 4222, null])
    expect(() => checkServerUrl(url)).toThrow(
      `url: ${JSON.stringify(url)} is not a server's URL; write one as`,
    );
  for (const url of [
    "nats://127.0.0.1:4222",
    "tls://hub.example:4222",
    "127.0.0.1:4222",
    "hub",
    "nats://[::1]:4222",
  ])
    checkServerUrl(url);
  await expect(connectCim({ url: "http://127.0.0.1:4222" })).rejects.toThrow(TypeError);
});

test("a program without types that leaves out a name or a place is told which", () => {
  expect(isReaderName("billing")).toBe(true);
  expect(isReaderName(undefined)).toBe(false);
  expect(() => decodeCheckpoint(undefined)).toThrow(CheckpointInvalid);
  expect(() => decodeCheckpoint(undefined)).toThrow(
    /^from: undefined is no checkpoint of this build; write "start"/,
  );
  expect(() => decodeCheckpoint(5)).toThrow(/^from: 5 is no checkpoint/);
});
