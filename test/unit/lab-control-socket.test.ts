import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { ControlRequest } from "../../lab/control-messages.ts";
import { askLab, ControlSocket } from "../../lab/control-socket.ts";
import { LabError } from "../../lab/lab-error.ts";
import { withTempDir } from "../support/temp-dir.ts";

const echo = async (request: ControlRequest) => request;

it("answers, privately, in the lab's folder", async () => {
  await withTempDir(async (dir) => {
    // What a lab that crashed has left there is in nobody's way.
    await writeFile(join(dir, "control.sock"), "");
    await using control = await ControlSocket.listen(dir, echo);
    expect(control.path).toBe(join(dir, "control.sock"));
    expect((await stat(control.path)).mode & 0o777).toBe(0o600);
    const request = { do: "link", leaf: "leaf1", condition: "down" } as const;
    expect(await askLab(control.path, request, 5_000)).toEqual(request);
  });
});

it("moves to a short path when the folder's is too long for a socket", async () => {
  await withTempDir(async (dir) => {
    const control = await ControlSocket.listen(join(dir, "long".repeat(30)), echo);
    expect(Buffer.byteLength(control.path)).toBeLessThan(108);
    expect(await askLab(control.path, { do: "status" }, 5_000)).toEqual({ do: "status" });
    await control[Symbol.asyncDispose]();
    await expect(stat(control.path)).rejects.toThrow("ENOENT");
  });
});

it("hands on what went wrong, with its exit code", async () => {
  await withTempDir(async (dir) => {
    await using control = await ControlSocket.listen(dir, async () => {
      throw new LabError("no such leaf", 2);
    });
    await expect(askLab(control.path, { do: "status" }, 5_000)).rejects.toMatchObject({
      message: "no such leaf",
      exitCode: 2,
    });
    const nonsense = { do: "dance" } as unknown as ControlRequest;
    await expect(askLab(control.path, nonsense, 5_000)).rejects.toMatchObject({ exitCode: 2 });
  });
});

it("doesn't wait for ever for a lab that says nothing", async () => {
  await withTempDir(async (dir) => {
    await using control = await ControlSocket.listen(dir, () => new Promise(() => {}));
    await expect(askLab(control.path, { do: "status" }, 50)).rejects.toThrow(/did not answer within 50 ms/);
  });
});
