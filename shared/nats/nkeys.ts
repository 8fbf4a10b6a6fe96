import { randomUUID } from "node:crypto";
import { link, open, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { createUser, fromPublic, fromSeed } from "@nats-io/nkeys";
import { makeFolder } from "../config/make-folder.ts";
import { errorText } from "../protocol/error-text.ts";
import { readSecretFile } from "./secret-file.ts";

/** A seed file that cannot be used. The message is one line that names the file and what to do. */
export class SeedFileError extends Error {
  override readonly name = "SeedFileError";
  readonly exitCode = 2;
}

export interface UserKey {
  /** `SU…`: secret, as text. */
  readonly seed: string;
  /** `U…`: what the other side lists. */
  readonly publicKey: string;
}

/** A new random user key, kept nowhere. */
export function createUserKey(): UserKey {
  const pair = createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** Whether a text is the public key of a user (`U…`, checksum right). */
export function isUserPublicKey(text: string): boolean {
  if (!text.startsWith("U")) return false;
  try {
    fromPublic(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads a file that holds a user's seed (`SU…` and perhaps a newline).
 * @throws {SeedFileError} missing, readable by everybody, or not a user's seed
 */
export async function readSeedFile(path: string): Promise<UserKey> {
  const fault = (message: string, options?: ErrorOptions) => new SeedFileError(message, options);
  const text = await readSecretFile(path, { name: "the nkey seed", holds: "a secret key", fault });
  try {
    const pair = fromSeed(new TextEncoder().encode(text));
    const publicKey = pair.getPublicKey();
    if (publicKey.startsWith("U")) return { seed: text, publicKey };
  } catch {
    // Said below: an nkeys error would add nothing, and its text must not carry the secret.
  }
  throw new SeedFileError(
    `${path} does not hold the nkey seed of a user (one line, SU…): restore it, or remove it`,
  );
}

/**
 * Reads the seed at `path`; at first need makes one there (0600, its folder 0700). Safe against a second
 * process that does the same: the file appears whole, and the first one wins.
 * @throws {SeedFileError}
 */
export async function ensureSeedFile(path: string): Promise<UserKey> {
  const present = await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
  if (present) return await readSeedFile(path);
  const folder = dirname(path);
  const part = `${path}.${randomUUID()}.part`;
  try {
    await makeFolder(folder);
    await writeDurably(part, `${createUserKey().seed}\n`);
    try {
      await link(part, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await unlink(part);
    }
    // A key that another side already trusts must not vanish with the power.
    await syncFolder(folder);
  } catch (cause) {
    throw new SeedFileError(`cannot write the nkey seed ${path}: ${errorText(cause)}`, { cause });
  }
  return await readSeedFile(path);
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
