<?php
/**
 * A stand-in for Nextcloud where its archive cannot be had. Not Nextcloud.
 *
 * It reads the same configuration, keeps what it is told in the same database, and answers at the addresses that
 * the roles and people's browsers ask. So the wiring can be tried. It proves nothing about Nextcloud itself.
 */
declare(strict_types=1);

/** The configuration as Nextcloud merges it: config.php, and over it each *.config.php in the order of names. */
function settings(): array
{
    static $settings = null;
    if ($settings === null) {
        $settings = [];
        $folder = rtrim(getenv('NEXTCLOUD_CONFIG_DIR') ?: __DIR__ . '/config', '/');
        foreach (["$folder/config.php", ...(glob("$folder/*.config.php") ?: [])] as $file) {
            $CONFIG = [];
            if (is_file($file)) {
                include $file;
            }
            $settings = array_merge($settings, $CONFIG);
        }
    }
    return $settings;
}

function setting(string $key, mixed $otherwise = null): mixed
{
    return settings()[$key] ?? $otherwise;
}

/** Write values into config.php, whole or not at all; null takes one away. */
function configure(array $values): void
{
    $file = rtrim(getenv('NEXTCLOUD_CONFIG_DIR') ?: __DIR__ . '/config', '/') . '/config.php';
    $CONFIG = [];
    if (is_file($file)) {
        include $file;
    }
    $CONFIG = array_filter(array_merge($CONFIG, $values), fn ($value) => $value !== null);
    file_put_contents("$file.new", "<?php\n\$CONFIG = " . var_export($CONFIG, true) . ";\n");
    chmod("$file.new", 0640);
    rename("$file.new", $file);
}

/** The version that this tree is: [numbers, string], as version.php says. */
function version(): array
{
    include __DIR__ . '/version.php';
    return [implode('.', $OC_Version), $OC_VersionString];
}

function database(): PDO
{
    static $database = null;
    if ($database === null) {
        [$host, $port] = [...explode(':', (string) setting('dbhost'), 2), ''];
        $where = "pgsql:host=$host;dbname=" . setting('dbname') . (ctype_digit($port) ? ";port=$port" : '');
        $database = new PDO($where, setting('dbuser'), setting('dbpassword', ''), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    }
    return $database;
}

/** All that it was ever told, as one array. */
function state(): array
{
    $found = database()->query('SELECT content FROM oc_stand_in')->fetchColumn();
    return json_decode($found, true, flags: JSON_THROW_ON_ERROR);
}

/** Change what it knows, one at a time: $what is given the array by reference; its result is returned. */
function change(callable $what): mixed
{
    $database = database();
    $database->beginTransaction();
    try {
        $found = $database->query('SELECT content FROM oc_stand_in FOR UPDATE')->fetchColumn();
        $state = json_decode($found, true, flags: JSON_THROW_ON_ERROR);
        $result = $what($state);
        $database->prepare('UPDATE oc_stand_in SET content = ?')->execute([json_encode($state, JSON_THROW_ON_ERROR)]);
        $database->commit();
        return $result;
    } catch (Throwable $thrown) {
        $database->rollBack();
        throw $thrown;
    }
}

/** An account as user_oidc or an administrator makes it; what is given wins over what is there. */
function account(array &$state, string $uid, array $given): void
{
    $blank = ['password' => null, 'backend' => 'Database', 'displayname' => $uid, 'email' => '', 'quota' => 'none', 'enabled' => true];
    $state['users'][$uid] = array_merge($blank, $state['users'][$uid] ?? [], $given);
}

/** Make somebody a password for a device, as long as upstream's; of it only a hash is kept. */
function device(string $uid): string
{
    $password = '';
    while (strlen($password) < 72) {
        $password .= preg_replace('/[^A-Za-z0-9]/', '', base64_encode(random_bytes(72)));
    }
    $password = substr($password, 0, 72);
    change(function (array &$state) use ($uid, $password) {
        $state['users'][$uid]['devices'][] = hash('sha512', $password);
    });
    return $password;
}

/** Put somebody into a group, which is made where it is missing. */
function join_group(array &$state, string $uid, string $gid): void
{
    $state['groups'][$gid] ??= ['displayname' => $gid, 'members' => []];
    $state['groups'][$gid]['members'] = array_values(array_unique([...$state['groups'][$gid]['members'], $uid]));
}

function leave_group(array &$state, string $uid, string $gid): void
{
    $state['groups'][$gid]['members'] = array_values(array_diff($state['groups'][$gid]['members'] ?? [], [$uid]));
}

/** The gids of somebody's groups. */
function groups_of(array $state, string $uid): array
{
    return array_keys(array_filter($state['groups'], fn ($group) => in_array($uid, $group['members'], true)));
}

/** Who asks: by password (or an app password), or by the session of a sign-in; null when nobody. */
function who(): ?string
{
    if (isset($_SERVER['PHP_AUTH_USER'])) {
        $uid = $_SERVER['PHP_AUTH_USER'];
        $given = $_SERVER['PHP_AUTH_PW'] ?? '';
        $user = state()['users'][$uid] ?? null;
        if ($user === null) {
            return null;
        }
        if (in_array(hash('sha512', $given), $user['devices'] ?? [], true)) {
            return $uid;
        }
        // Looking at a password takes long, on purpose. As in Nextcloud, who keeps the session is asked once, until the password changes.
        $hash = $user['password'] ?? null;
        session_open();
        $shown = ($_SESSION['shown'] ?? null) === [$uid, $hash];
        if (!$shown && $hash !== null && password_verify($given, $hash)) {
            $_SESSION['shown'] = [$uid, $hash];
            $shown = true;
        }
        session_write_close();
        return $shown ? $uid : null;
    }
    session_open();
    return $_SESSION['uid'] ?? null;
}

function session_open(): void
{
    if (session_status() !== PHP_SESSION_ACTIVE) {
        session_name('nc_stand_in');
        session_start(['cookie_secure' => true, 'cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true]);
    }
}

/** Whether the host that was asked for is one that it trusts, as Nextcloud judges it behind a proxy. */
function trusted(): bool
{
    $asked = setting('overwritehost') ?: ($_SERVER['HTTP_HOST'] ?? '');
    $host = preg_replace('/:\d+$/', '', $asked);
    foreach ((array) setting('trusted_domains', []) as $domain) {
        if (in_array($domain, [$host, $asked], true)) {
            return true;
        }
    }
    return false;
}

function say(mixed $what, int $status = 200): never
{
    http_response_code($status);
    header('Content-Type: application/json; charset=utf-8');
    header('X-Stand-In: nextcloud');
    echo json_encode($what, JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
    exit;
}
