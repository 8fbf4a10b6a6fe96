/**
 * Whether node_modules holds what package-lock.json asks for, judged from npm's own record of what it
 * installed (node_modules/.package-lock.json). Optional packages may be missing: they are for other platforms.
 *
 * @typedef {{ version?: string, integrity?: string, resolved?: string, optional?: boolean }} LockedPackage
 * @typedef {{ packages?: Record<string, LockedPackage> }} Lock
 * @param {Lock} lock
 * @param {Lock} installed
 */
export function installedMatchesLock(lock, installed) {
  const have = installed.packages ?? {};
  return Object.entries(lock.packages ?? {}).every(([path, want]) => {
    if (path === "") return true; // the project itself
    const got = have[path];
    if (!got) return want.optional === true;
    return got.version === want.version && got.integrity === want.integrity;
  });
}
