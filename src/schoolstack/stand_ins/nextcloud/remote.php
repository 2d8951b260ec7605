<?php
/**
 * A stand-in for Nextcloud's WebDAV. Not Nextcloud: see stand_in.php.
 *
 * One's own files and the group folders one is let into, at /remote.php/dav/files/<who>/..., with quotas, and with the advanced
 * permissions of group folders enforced as upstream does (lib/ACL/ACLStorageWrapper.php and lib/DAV/ACLPlugin.php at stable34).
 */
declare(strict_types=1);
require_once __DIR__ . '/stand_in.php';
require_once __DIR__ . '/folders.php';

const NAMESPACES = 'xmlns:d="DAV:" xmlns:nc="http://nextcloud.org/ns" xmlns:oc="http://owncloud.org/ns" xmlns:s="http://sabredav.org/ns"';

/** One place as WebDAV sees it: where it lies, in which group folder, and what one may do there. */
final class Place
{
    public string $disk;
    public ?array $folder = null;
    public string $inner = '';

    public function __construct(public string $uid, public string $path)
    {
        foreach (mounts(seen(), $uid) as $mount => $folder) {
            if (($path === $mount || str_starts_with($path, "$mount/")) && strlen($mount) > strlen($this->folder['mount_point'] ?? '')) {
                $this->folder = $folder;
                $this->inner = ltrim(substr($path, strlen($mount)), '/');
            }
        }
        $home = setting('datadirectory') . "/$uid/files";
        $this->disk = rtrim($this->folder ? folder_on_disk($this->folder['id']) . "/$this->inner" : "$home/$path", '/');
    }

    public function rights(): int
    {
        return $this->folder ? rights(seen(), $this->folder, $this->uid, $this->inner) : EVERYTHING;
    }

    public function exists(): bool
    {
        return (bool) ($this->rights() & READ) && file_exists($this->disk);
    }

    public function parent(): Place
    {
        return new Place($this->uid, str_contains($this->path, '/') ? dirname($this->path) : '');
    }

    /** Whether it is where a group folder begins: that is moved and deleted by administrators only. */
    public function is_mount(): bool
    {
        return $this->folder !== null && $this->inner === '';
    }

    public function may(int $what): bool
    {
        return ($this->rights() & $what) === $what;
    }

    /** Whether so many bytes more have room. */
    public function has_room(int $bytes): bool
    {
        $quota = $this->folder ? (int) $this->folder['quota'] : quota_in_bytes(seen()['users'][$this->uid]['quota']);
        $root = $this->folder ? folder_on_disk($this->folder['id']) : setting('datadirectory') . "/$this->uid/files";
        return $quota <= 0 || size_of($root) + $bytes <= $quota;
    }

    /** What lies in it, for this person; folders on the way to a group folder are made, as Nextcloud makes them. */
    public function children(): array
    {
        $names = is_dir($this->disk) ? array_diff(scandir($this->disk), ['.', '..']) : [];
        $here = $this->path === '' ? '' : "$this->path/";
        foreach (array_keys(mounts(seen(), $this->uid)) as $mount) {
            if (str_starts_with((string) $mount, $here)) {
                $name = explode('/', substr((string) $mount, strlen($here)))[0];
                if ($here . $name !== $mount) {
                    have("$this->disk/$name");
                }
                $names[] = $name;
            }
        }
        $children = array_map(fn ($name) => new Place($this->uid, $here . $name), array_values(array_unique($names)));
        return array_values(array_filter($children, fn ($child) => $child->exists()));
    }
}

function refuse_dav(int $status, string $says): never
{
    http_response_code($status);
    header('Content-Type: application/xml; charset=utf-8');
    echo '<?xml version="1.0" encoding="utf-8"?><d:error ', NAMESPACES, '><s:message>', htmlspecialchars($says, ENT_XML1), '</s:message></d:error>';
    exit;
}

header('X-Stand-In: nextcloud');
if (setting('maintenance')) {
    refuse_dav(503, 'System is in maintenance mode.');
}
$me = who();
if ($me === null || !(seen()['users'][$me]['enabled'] ?? false)) {
    header('WWW-Authenticate: Basic realm="Nextcloud stand-in", charset="UTF-8"');
    refuse_dav(401, 'Cannot authenticate');
}
$url = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (!preg_match('#^/remote\.php/(?:dav/files/([^/]+)|webdav)(?:/(.*))?$#', $url, $found)) {
    refuse_dav(404, 'File not found');
}
rawurldecode($found[1] ?: $me) === $me || refuse_dav(404, 'Somebody else');
$root = $found[1] === '' ? '/remote.php/webdav' : "/remote.php/dav/files/$found[1]";
$path = trim(rawurldecode($found[2] ?? ''), '/');
in_array('..', explode('/', $path), true) && refuse_dav(400, 'no such place');
have(setting('datadirectory') . "/$me/files");
$place = new Place($me, $path);

match ($_SERVER['REQUEST_METHOD']) {
    'OPTIONS' => options(),
    'PROPFIND' => find($place, $root, (string) file_get_contents('php://input'), ($_SERVER['HTTP_DEPTH'] ?? '1') !== '0'),
    'PROPPATCH' => patch($place, $root, (string) file_get_contents('php://input')),
    'GET', 'HEAD' => get($place),
    'PUT' => put($place),
    'MKCOL' => make($place),
    'DELETE' => drop($place),
    'MOVE', 'COPY' => move($place, $root, $_SERVER['REQUEST_METHOD'] === 'MOVE'),
    default => refuse_dav(501, 'not known here'),
};

function options(): void
{
    header('DAV: 1, 3, extended-mkcol');
    header('Allow: OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, MOVE, COPY');
}

/** Only what is asked for is told, as sabre/dav does. */
function find(Place $place, string $root, string $asked, bool $deep): void
{
    $place->exists() || refuse_dav(404, 'File not found');
    preg_match('/<[^>]*\bprop(?:\s[^>]*)?>(.*)<\/[^>]*\bprop>/s', $asked, $inside);
    preg_match_all('/<(?:[\w-]+:)?([\w-]+)[^>]*>/', $inside[1] ?? '<resourcetype/><getcontentlength/><getlastmodified/><getetag/>', $names);
    http_response_code(207);
    header('Content-Type: application/xml; charset=utf-8');
    echo '<?xml version="1.0" encoding="utf-8"?><d:multistatus ', NAMESPACES, '>';
    foreach ([$place, ...($deep && is_dir($place->disk) ? $place->children() : [])] as $one) {
        $address = $root . '/' . implode('/', array_map('rawurlencode', explode('/', $one->path))) . (is_dir($one->disk) && $one->path !== '' ? '/' : '');
        [$told, $missing] = ['', ''];
        foreach ($names[1] as $name) {
            $value = property($one, $name);
            $told .= $value ?? '';
            $missing .= $value === null ? "<d:$name/>" : '';
        }
        echo "<d:response><d:href>$address</d:href><d:propstat><d:prop>$told</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>";
        echo $missing ? "<d:propstat><d:prop>$missing</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>" : '', '</d:response>';
    }
    echo '</d:multistatus>';
}

function property(Place $place, string $name): ?string
{
    $folder = is_dir($place->disk);
    return match (true) {
        $name === 'resourcetype' => $folder ? '<d:resourcetype><d:collection/></d:resourcetype>' : '<d:resourcetype/>',
        $name === 'getcontentlength' && !$folder => '<d:getcontentlength>' . filesize($place->disk) . '</d:getcontentlength>',
        $name === 'getlastmodified' => '<d:getlastmodified>' . gmdate('D, d M Y H:i:s', filemtime($place->disk)) . ' GMT</d:getlastmodified>',
        $name === 'getetag' => '<d:getetag>"' . md5($place->disk . filemtime($place->disk) . @filesize($place->disk)) . '"</d:getetag>',
        $name === 'size' => '<oc:size>' . size_of($place->disk) . '</oc:size>',
        $name === 'acl-list' && $place->folder !== null => '<nc:acl-list>' . implode('', array_map('written', shown_rules($place))) . '</nc:acl-list>',
        $name === 'group-folder-id' && $place->folder !== null => "<nc:group-folder-id>{$place->folder['id']}</nc:group-folder-id>",
        default => null,
    };
}

/** Who may change rules sees them all, others see theirs. */
function shown_rules(Place $place): array
{
    $all = is_admin(seen(), $place->uid);
    return $all ? $place->folder['rules'][$place->inner] ?? [] : rules_for(seen(), $place->folder, $place->uid, $place->inner);
}

function written(array $rule): string
{
    $id = htmlspecialchars($rule['id'], ENT_XML1);
    return "<nc:acl><nc:acl-mapping-type>{$rule['type']}</nc:acl-mapping-type><nc:acl-mapping-id>$id</nc:acl-mapping-id>"
        . "<nc:acl-mapping-display-name>$id</nc:acl-mapping-display-name><nc:acl-mask>{$rule['mask']}</nc:acl-mask>"
        . "<nc:acl-permissions>{$rule['permissions']}</nc:acl-permissions></nc:acl>";
}

function patch(Place $place, string $root, string $asked): void
{
    $place->exists() || refuse_dav(404, 'File not found');
    $status = '403 Forbidden';
    if ($place->folder !== null && is_admin(seen(), $place->uid) && str_contains($asked, 'acl-list')) {
        preg_match_all('#<(?:[\w-]+:)?acl>(.*?)</(?:[\w-]+:)?acl>#s', $asked, $items);
        $rules = array_map('read_rule', $items[1]);
        $folder = $place->folder;
        $folder['rules'][$place->inner] = $rules;
        rights(seen(), $folder, $place->uid, $place->inner) & READ || refuse_dav(400, 'You cannot remove your own read permission.');
        change(function (array &$state) use ($place, $rules) {
            $state['folders'][$place->folder['id']]['rules'][$place->inner] = $rules;
        });
        $status = '200 OK';
    }
    http_response_code(207);
    header('Content-Type: application/xml; charset=utf-8');
    echo '<?xml version="1.0" encoding="utf-8"?><d:multistatus ', NAMESPACES, "><d:response><d:href>$root/", implode('/', array_map('rawurlencode', explode('/', $place->path)));
    echo "</d:href><d:propstat><d:prop><nc:acl-list/></d:prop><d:status>HTTP/1.1 $status</d:status></d:propstat></d:response></d:multistatus>";
}

function read_rule(string $text): array
{
    $read = function (string $name) use ($text): string {
        preg_match("#<(?:[\w-]+:)?acl-$name>(.*?)</#s", $text, $found) || refuse_dav(400, "acl-$name is missing");
        return htmlspecialchars_decode($found[1], ENT_XML1 | ENT_QUOTES);
    };
    $rule = ['type' => $read('mapping-type'), 'id' => $read('mapping-id'), 'mask' => (int) $read('mask')];
    in_array($rule['type'], ['user', 'group'], true) || refuse_dav(400, 'acl-mapping-type does not have a valid value.');
    $known = $rule['type'] === 'user' ? isset(seen()['users'][$rule['id']]) : isset(seen()['groups'][$rule['id']]);
    $known || refuse_dav(400, "nobody is called {$rule['id']}");
    return $rule + ['permissions' => (int) $read('permissions') & $rule['mask']];
}

function get(Place $place): void
{
    $place->exists() || refuse_dav(404, 'File not found');
    is_file($place->disk) || refuse_dav(501, 'a folder');
    header('Content-Type: application/octet-stream');
    header('Content-Length: ' . filesize($place->disk));
    if ($_SERVER['REQUEST_METHOD'] === 'GET') {
        readfile($place->disk);
    }
}

function put(Place $place): void
{
    $there = $place->exists();
    $place->parent()->exists() || refuse_dav(409, 'the folder is missing');
    !is_dir($place->disk) || refuse_dav(409, 'a folder');
    $place->may($there ? UPDATE : CREATE) || refuse_dav(403, 'not allowed');
    $place->has_room((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) - ($there ? (int) filesize($place->disk) : 0)) || refuse_dav(507, 'Insufficient space');
    $part = "$place->disk.part" . getmypid();
    copy('php://input', $part) && rename($part, $place->disk) || refuse_dav(500, 'not written');
    http_response_code($there ? 204 : 201);
}

function make(Place $place): void
{
    !$place->exists() || refuse_dav(405, 'The resource you tried to create already exists');
    $place->parent()->exists() || refuse_dav(409, 'Parent node does not exist');
    $place->may(CREATE) || refuse_dav(403, 'not allowed');
    // There may be one that this person cannot see.
    !file_exists($place->disk) || refuse_dav(405, 'The resource you tried to create already exists');
    mkdir($place->disk, 0750);
    http_response_code(201);
}

function drop(Place $place): void
{
    $place->exists() || refuse_dav(404, 'File not found');
    $place->path !== '' && !$place->is_mount() || refuse_dav(403, 'not this one');
    !$place->folder || may_delete_tree(seen(), $place->folder, $place->uid, $place->inner) || refuse_dav(403, 'not allowed');
    remove($place->disk);
    move_rules($place, null);
    http_response_code(204);
}

function move(Place $place, string $root, bool $moves): void
{
    $place->exists() || refuse_dav(404, 'File not found');
    $where = rawurldecode((string) parse_url($_SERVER['HTTP_DESTINATION'] ?? '', PHP_URL_PATH));
    str_starts_with($where, rawurldecode($root) . '/') || refuse_dav(502, 'somewhere else');
    $target = new Place($place->uid, trim(substr($where, strlen(rawurldecode($root))), '/'));
    $there = $target->exists();
    $target->parent()->exists() || refuse_dav(409, 'the folder is missing');
    !$there || ($_SERVER['HTTP_OVERWRITE'] ?? 'T') !== 'F' || refuse_dav(412, 'there is one');
    !$target->is_mount() && !($moves && $place->is_mount()) || refuse_dav(403, 'not this one');
    $away = $place->parent()->path === $target->parent()->path || $place->parent()->may(DELETE);
    !$moves || ($away && $place->may(UPDATE | READ)) || refuse_dav(403, 'not allowed');
    $target->may($there ? UPDATE : CREATE) || refuse_dav(403, 'not allowed');
    !$there || remove($target->disk);
    if ($moves) {
        rename($place->disk, $target->disk);
        move_rules($place, $target);
    } elseif (is_file($place->disk)) {
        copy($place->disk, $target->disk);
    } else {
        refuse_dav(501, 'no whole folders here');
    }
    http_response_code($there ? 204 : 201);
}

/** Rules go with what they are about; to another group folder, or nowhere, they do not. */
function move_rules(Place $place, ?Place $target): void
{
    if ($place->folder === null) {
        return;
    }
    change(function (array &$state) use ($place, $target) {
        $rules = $state['folders'][$place->folder['id']]['rules'];
        foreach (array_keys($rules) as $path) {
            $path = (string) $path;
            if ($path === $place->inner || str_starts_with($path, "$place->inner/")) {
                if ($target !== null && ($target->folder['id'] ?? null) === $place->folder['id']) {
                    $rules[$target->inner . substr($path, strlen($place->inner))] = $rules[$path];
                }
                unset($rules[$path]);
            }
        }
        $state['folders'][$place->folder['id']]['rules'] = $rules;
    });
}
