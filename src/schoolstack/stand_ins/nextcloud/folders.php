<?php
/**
 * A stand-in for Nextcloud's group folders (the app groupfolders). Not Nextcloud: see stand_in.php.
 *
 * What somebody may do there is what their groups may do at most, and of that what the advanced permissions leave. These are
 * reckoned as upstream reckons them (lib/ACL/ACLManager.php and Rule.php at stable34, without acl-inherit-per-user): from the
 * folder downwards, all rules of one path that concern somebody taken together, allowed before denied. Without reading
 * there is nothing.
 */
declare(strict_types=1);

const READ = 1;
const UPDATE = 2;
const CREATE = 4;
const DELETE = 8;
const SHARE = 16;
const EVERYTHING = 31;
/** What Nextcloud calls no quota, and that of its settings. */
const UNLIMITED = -3;
const DEFAULT_QUOTA = -4;

/** What was known when this request began. */
function seen(): array
{
    static $seen = null;
    return $seen ??= state();
}

function is_admin(array $state, string $uid): bool
{
    return in_array('admin', groups_of($state, $uid), true);
}

/** Where a group folder's content lies. */
function folder_on_disk(int $id): string
{
    return have(setting('datadirectory') . "/__groupfolders/$id/files");
}

/** Have a folder, which another request may be making at this moment. */
function have(string $place): string
{
    is_dir($place) || @mkdir($place, 0750, true) || is_dir($place) || throw new RuntimeException("no folder $place");
    return $place;
}

/** What somebody may do at most in a group folder, by their groups. */
function let_in(array $state, array $folder, string $uid): int
{
    $rights = 0;
    foreach (groups_of($state, $uid) as $gid) {
        $rights |= $folder['groups'][$gid] ?? 0;
    }
    return $rights;
}

/** What the advanced permissions leave somebody at a path within a group folder. */
function left_by_rules(array $state, array $folder, string $uid, string $inner): int
{
    if (!$folder['acl']) {
        return EVERYTHING;
    }
    $rights = EVERYTHING;
    if ($folder['acl_default_no_permission']) {
        $rights = is_admin($state, $uid) ? READ : 0;
    }
    $path = '';
    foreach (['', ...array_filter(explode('/', $inner), 'strlen')] as $part) {
        $path = trim("$path/$part", '/');
        [$mask, $given] = [0, 0];
        foreach (rules_for($state, $folder, $uid, $path) as $rule) {
            $mask |= $rule['mask'];
            $given |= $rule['permissions'] & $rule['mask'];
        }
        $rights = ($rights & (~$mask | $given)) | $given;
    }
    return $rights & READ ? $rights : 0;
}

/** The rules of one path that concern somebody. */
function rules_for(array $state, array $folder, string $uid, string $path): array
{
    $groups = groups_of($state, $uid);
    return array_values(array_filter(
        $folder['rules'][$path] ?? [],
        fn ($rule) => $rule['type'] === 'user' ? $rule['id'] === $uid : in_array($rule['id'], $groups, true),
    ));
}

/** What somebody may do at a path within a group folder. */
function rights(array $state, array $folder, string $uid, string $inner): int
{
    $rights = let_in($state, $folder, $uid) & left_by_rules($state, $folder, $uid, $inner);
    return $rights & READ ? $rights : 0;
}

/** Whether nothing below a path keeps somebody from deleting it. */
function may_delete_tree(array $state, array $folder, string $uid, string $inner): bool
{
    foreach (array_keys($folder['rules']) as $path) {
        $path = (string) $path;
        if (($path === $inner || str_starts_with("$path/", "$inner/")) && !(rights($state, $folder, $uid, $path) & DELETE)) {
            return false;
        }
    }
    return (bool) (rights($state, $folder, $uid, $inner) & DELETE);
}

/** The group folders that somebody sees, by where. */
function mounts(array $state, string $uid): array
{
    static $found = [];
    if (isset($found[$uid])) {
        return $found[$uid];
    }
    $mounts = [];
    foreach ($state['folders'] ?? [] as $folder) {
        if (rights($state, $folder, $uid, '')) {
            $mounts[$folder['mount_point']] = $folder;
        }
    }
    return $found[$uid] = $mounts;
}

/** A group folder as its command lists it (lib/Command/ListCommand.php at v21.0.15 to v23.0.0, its other names than those of REST). */
function listed(array $folder): array
{
    $details = [];
    foreach ($folder['groups'] as $gid => $rights) {
        $details[$gid] = ['displayName' => (string) $gid, 'permissions' => $rights, 'type' => 'group'];
    }
    return [
        'id' => $folder['id'], 'quota' => $folder['quota'], 'acl' => $folder['acl'], 'acl_default_no_permission' => $folder['acl_default_no_permission'],
        'groups' => $details, 'manage' => [], 'options' => [], 'size' => size_of(folder_on_disk($folder['id'])), 'groups_list' => $folder['groups'],
        'mountPoint' => $folder['mount_point'], 'rootId' => $folder['id'], 'storageId' => $folder['id'],
    ];
}

/** How much lies in a folder on the disk, in bytes. */
function size_of(string $place): int
{
    if (!is_dir($place)) {
        return is_file($place) ? filesize($place) : 0;
    }
    $size = 0;
    foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($place, FilesystemIterator::SKIP_DOTS)) as $file) {
        $size += $file->isFile() ? $file->getSize() : 0;
    }
    return $size;
}

function remove(string $place): void
{
    if (is_dir($place) && !is_link($place)) {
        foreach (array_diff(scandir($place), ['.', '..']) as $name) {
            remove("$place/$name");
        }
        rmdir($place);
    } elseif (file_exists($place)) {
        unlink($place);
    }
}

/** A quota that is written as people write it, in bytes (OCP\Util::computerFileSize). */
function quota_in_bytes(string $quota): int
{
    if (!preg_match('/^([\d.]+) ?(B|KB|MB|GB|TB)?$/i', $quota, $found)) {
        return UNLIMITED;
    }
    $units = ['B' => 1, 'KB' => 1024, 'MB' => 1024 ** 2, 'GB' => 1024 ** 3, 'TB' => 1024 ** 4];
    return (int) ((float) $found[1] * $units[strtoupper($found[2] ?? 'B')]);
}
