<?php
/**
 * A stand-in for what Nextcloud's OCS answers to administrators. Not Nextcloud: see stand_in.php.
 *
 * Paths, parameters and answers are those of upstream's routes: provisioning_api, user_oidc (OcsApiController, SettingsController)
 * and groupfolders (FolderController), which does not lie below /ocs and answers HTTP 200 to everything it refuses.
 */
declare(strict_types=1);
require_once __DIR__ . '/stand_in.php';
require_once __DIR__ . '/folders.php';

final class Refused extends Exception
{
}

function refuse(int $code, string $says = ''): never
{
    throw new Refused($says, $code);
}

$path = rawurldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
$raw = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$second = str_starts_with($raw, '/ocs/v2.php');
try {
    if (setting('maintenance')) {
        say(['ocs' => ['meta' => ['status' => 'failure', 'statuscode' => 503, 'message' => 'maintenance'], 'data' => []]], 503);
    }
    ($_SERVER['HTTP_OCS_APIREQUEST'] ?? '') === 'true' || refuse(412, 'CSRF check failed');
    $me = who();
    $me !== null && (state()['users'][$me]['enabled'] ?? false) || refuse(997, 'Current user is not logged in');
    $given = json_decode((string) file_get_contents('php://input'), true) ?? [];
    $given += $_POST + $_GET;
    $parts = array_map('rawurldecode', array_values(array_filter(explode('/', preg_replace('#^/(ocs/v[12]\.php|index\.php)#', '', $raw)), 'strlen')));
    answer($second, 200, asked_for($_SERVER['REQUEST_METHOD'], $parts, $given, $me));
} catch (Refused $refused) {
    answer($second, $refused->getCode(), [], $refused->getMessage());
}

function answer(bool $second, int $code, mixed $data, string $says = 'OK'): never
{
    $http = match (true) {
        in_array($code, [997, 401], true) => 401,
        $code === 412 => 412,
        $second => $code >= 100 && $code < 200 ? 400 : $code,
        default => 200,
    };
    $meta = ['status' => $code === 200 ? 'ok' : 'failure', 'statuscode' => $code === 200 && !$second ? 100 : $code, 'message' => $says];
    say(['ocs' => ['meta' => $meta, 'data' => $data]], $http);
}

/** What is asked, as data; refuses what upstream has no route for. */
function asked_for(string $method, array $parts, array $given, string $me): mixed
{
    $state = state();
    $route = $method . ' /' . implode('/', array_slice($parts, 0, 2));
    if ($parts === ['cloud', 'user'] && $method === 'GET') {
        return ['id' => $me, 'display-name' => $state['users'][$me]['displayname'], 'groups' => groups_of($state, $me)];
    }
    is_admin($state, $me) || refuse(403, 'Logged in account must be an admin');
    return match (true) {
        $route === 'GET /cloud/users' && count($parts) === 2 => ['users' => array_map('strval', array_keys(slice_of($state['users'], $given)))],
        $route === 'GET /cloud/users' && ($parts[2] ?? '') === 'details' => ['users' => array_map(fn ($uid) => details($state, (string) $uid), keyed(slice_of($state['users'], $given)))],
        $route === 'GET /cloud/users' && count($parts) === 3 => details($state, known($parts[2])),
        $route === 'PUT /cloud/users' && in_array($parts[3] ?? '', ['enable', 'disable'], true) => enable(known($parts[2]), $parts[3] === 'enable'),
        $route === 'POST /cloud/users' && ($parts[3] ?? '') === 'groups' => enter(known($parts[2]), (string) ($given['groupid'] ?? '')),
        $route === 'DELETE /cloud/users' && ($parts[3] ?? '') === 'groups' => go_out(known($parts[2]), (string) ($given['groupid'] ?? ''), $me),
        $route === 'GET /cloud/groups' && count($parts) === 2 => ['groups' => array_map('strval', array_keys(slice_of($state['groups'], $given)))],
        $route === 'GET /cloud/groups' && ($parts[3] ?? '') === 'users' => ['users' => $state['groups'][$parts[2]]['members'] ?? refuse(404)],
        $route === 'POST /cloud/groups' && count($parts) === 2 => make_group((string) ($given['groupid'] ?? '')),
        $parts === ['apps', 'user_oidc', 'api', 'v1', 'provider'] && $method === 'GET' => array_values(array_map(fn ($one) => array_diff_key($one, ['secret' => 1]), $state['providers'] ?? [])),
        $parts === ['apps', 'user_oidc', 'api', 'v1', 'user'] && $method === 'POST' => provision($given),
        array_slice($parts, 0, 5) === ['apps', 'user_oidc', 'api', 'v1', 'user'] && count($parts) === 6 && $method === 'DELETE' => erase($parts[5]),
        array_slice($parts, 0, 3) === ['apps', 'groupfolders', 'folders'] => group_folders($method, array_slice($parts, 3), $given),
        default => refuse(998, 'Invalid query'),
    };
}

function slice_of(array $all, array $given): array
{
    return array_slice($all, (int) ($given['offset'] ?? 0), isset($given['limit']) ? (int) $given['limit'] : null, true);
}

function keyed(array $users): array
{
    return array_combine(array_keys($users), array_keys($users));
}

function known(string $uid): string
{
    return isset(state()['users'][$uid]) ? $uid : refuse(404, 'User does not exist');
}

function details(array $state, string $uid): array
{
    $user = $state['users'][$uid];
    $quota = quota_in_bytes($user['quota']);
    $used = size_of(setting('datadirectory') . "/$uid/files");
    return [
        'enabled' => $user['enabled'], 'id' => $uid, 'backend' => $user['backend'], 'subadmin' => [],
        'quota' => ['free' => $quota > 0 ? $quota - $used : UNLIMITED, 'used' => $used, 'total' => $quota, 'relative' => $quota > 0 ? round($used / $quota * 100, 2) : 0, 'quota' => $quota],
        'email' => $user['email'] ?: null, 'displayname' => $user['displayname'], 'display-name' => $user['displayname'], 'groups' => groups_of($state, $uid),
    ];
}

function enable(string $uid, bool $may): array
{
    change(function (array &$state) use ($uid, $may) {
        $state['users'][$uid]['enabled'] = $may;
    });
    return [];
}

function enter(string $uid, string $gid): array
{
    isset(state()['groups'][$gid]) || refuse(102, 'group does not exist');
    change(function (array &$state) use ($uid, $gid) {
        join_group($state, $uid, $gid);
    });
    return [];
}

function go_out(string $uid, string $gid, string $me): array
{
    isset(state()['groups'][$gid]) || refuse(102, 'group does not exist');
    $uid !== $me || $gid !== 'admin' || refuse(105, 'Cannot remove yourself from the admin group');
    change(function (array &$state) use ($uid, $gid) {
        leave_group($state, $uid, $gid);
    });
    return [];
}

function make_group(string $gid): array
{
    $gid !== '' && iconv_strlen($gid, 'UTF-8') <= 64 || refuse(101, 'Invalid group name');
    !isset(state()['groups'][$gid]) || refuse(102, 'group exists');
    change(function (array &$state) use ($gid) {
        $state['groups'][$gid] = ['displayname' => $gid, 'members' => []];
    });
    return [];
}

/** Make an account of the sign-in, or change it: user_oidc does not ask which. */
function provision(array $given): array
{
    $provider = array_filter(state()['providers'] ?? [], fn ($one) => (int) $one['id'] === (int) ($given['providerId'] ?? 0));
    $provider || refuse(404, 'no such provider');
    $uid = (string) $given['userId'];
    if (array_values($provider)[0]['settings']['uniqueUid'] ?? true) {
        $uid = hash('sha256', "{$given['providerId']}_0_$uid");
    }
    change(function (array &$state) use ($given, $uid) {
        $new = ['displayname' => $given['displayName'] ?? null, 'email' => $given['email'] ?? null, 'quota' => $given['quota'] ?? null];
        account($state, $uid, array_filter($new) + (isset($state['users'][$uid]) ? [] : ['backend' => 'user_oidc']));
    });
    have(setting('datadirectory') . "/$uid/files");
    return ['user_id' => $uid];
}

function erase(string $uid): array
{
    (state()['users'][$uid]['backend'] ?? '') === 'user_oidc' || refuse(404, 'User not found');
    change(function (array &$state) use ($uid) {
        foreach (groups_of($state, $uid) as $gid) {
            leave_group($state, $uid, $gid);
        }
        unset($state['users'][$uid]);
        foreach ($state['folders'] ?? [] as $id => $folder) {
            foreach ($folder['rules'] as $path => $rules) {
                $state['folders'][$id]['rules'][$path] = array_values(array_filter($rules, fn ($rule) => $rule['type'] !== 'user' || $rule['id'] !== $uid));
            }
        }
    });
    remove(setting('datadirectory') . "/$uid");
    return ['user_id' => $uid];
}

/** The app groupfolders: FolderController at stable34. */
function group_folders(string $method, array $parts, array $given): array
{
    $id = (int) ($parts[0] ?? 0);
    if ($parts === []) {
        return $method === 'GET' ? array_map('shown', state()['folders'] ?? []) : ($method === 'POST' ? make_folder($given) : refuse(998));
    }
    $folder = state()['folders'][$id] ?? refuse(404, 'Groupfolder not found');
    $what = $parts[1] ?? '';
    $gid = $parts[2] ?? '';
    if ($method === 'GET' && $what === '') {
        return shown($folder);
    }
    $new = match (true) {
        $method === 'POST' && $what === 'groups' && $gid === '' => (function () use ($folder, $given) {
            !isset($folder['groups'][$given['group']]) || refuse(400, 'Group already assigned to this Groupfolder');
            return ['groups' => $folder['groups'] + [$given['group'] => EVERYTHING]];
        })(),
        $method === 'POST' && $what === 'groups' => ['groups' => isset($folder['groups'][$gid]) ? [$gid => (int) $given['permissions']] + $folder['groups'] : $folder['groups']],
        $method === 'DELETE' && $what === 'groups' => ['groups' => array_diff_key($folder['groups'], [$gid => 1])],
        $method === 'POST' && $what === 'quota' => ['quota' => (int) $given['quota']],
        $method === 'POST' && $what === 'acl' => ['acl' => (bool) $given['acl']],
        $method === 'POST' && $what === 'mountpoint' => ['mount_point' => free_mountpoint((string) $given['mountpoint'], $folder['mount_point'])],
        default => refuse(998, 'Invalid query'),
    };
    change(function (array &$state) use ($id, $new) {
        $state['folders'][$id] = $new + $state['folders'][$id];
    });
    return ['success' => true, 'folder' => shown(state()['folders'][$id])];
}

function make_folder(array $given): array
{
    $place = free_mountpoint((string) ($given['mountpoint'] ?? ''), '');
    $id = change(function (array &$state) use ($place, $given) {
        $id = $state['next_folder'] = ($state['next_folder'] ?? 0) + 1;
        $state['folders'][$id] = ['id' => $id, 'mount_point' => $place, 'quota' => DEFAULT_QUOTA, 'acl' => false, 'groups' => [], 'rules' => [],
            'acl_default_no_permission' => (bool) ($given['acl_default_no_permission'] ?? false)];
        return $id;
    });
    folder_on_disk($id);
    return shown(state()['folders'][$id]);
}

function free_mountpoint(string $wanted, string $has): string
{
    $wanted = trim(preg_replace('#/+#', '/', trim($wanted)), '/');
    $wanted !== '' || refuse(400, 'Mount point cannot be empty');
    !str_contains($wanted, '..') || refuse(400, 'Mount point cannot contain ".."');
    $wanted === $has || !in_array($wanted, array_column(state()['folders'] ?? [], 'mount_point'), true) || refuse(400, 'Mount point already exists');
    return $wanted;
}

function shown(array $folder): array
{
    $details = fn (string $gid, int $rights) => ['displayName' => $gid, 'permissions' => $rights, 'type' => 'group'];
    return [
        'id' => $folder['id'], 'mount_point' => $folder['mount_point'], 'quota' => $folder['quota'], 'acl' => $folder['acl'],
        'acl_default_no_permission' => $folder['acl_default_no_permission'], 'size' => size_of(folder_on_disk($folder['id'])), 'groups' => $folder['groups'],
        'group_details' => array_combine(array_keys($folder['groups']), array_map($details, array_map('strval', array_keys($folder['groups'])), $folder['groups'])),
        'manage' => [], 'team_circle_id' => null,
    ];
}
