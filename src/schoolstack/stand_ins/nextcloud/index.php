<?php
/**
 * A stand-in for Nextcloud's pages. Not Nextcloud: see stand_in.php.
 *
 * Of the sign-in it does what user_oidc documents: authorization code with PKCE, the ID token checked with the keys of
 * the one who signed it, claims mapped as the provider is set up, groups of the allowed kind and no other, sign-out
 * there and from there.
 */
declare(strict_types=1);
require __DIR__ . '/stand_in.php';

$path = (string) (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/');
$path = preg_replace('#^/index\.php(?=/|$)#', '', $path) ?: '/';

if (is_file(__DIR__ . '/broken')) {
    say('broken on purpose', 500);
}
if (!setting('installed')) {
    say('not installed', 500);
}
if ($path === '/metrics') {
    $allowed = ['127.0.0.1', '::1'];
    in_array($_SERVER['REMOTE_ADDR'], $allowed, true) || say('', 403);
    // In the form that OpenMetricsController of Nextcloud 34 has, and that Prometheus refuses: units that are not the end of a name.
    header('Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8');
    $families = [
        ['maintenance', 'info', '', 'Maintenance status', '', setting('maintenance') ? 1 : 0],
        ['active_users', 'gauge', 'users', 'Number of active users', '{time="Last day"}', count(state()['users'])],
        ['jobs_running', 'gauge', 'jobs', 'Number of running jobs', '', 0],
        ['exporter_duration', 'gauge', 'seconds', 'Exporter run time', '', 0.1],
    ];
    foreach ($families as [$name, $type, $unit, $help, $labels, $value]) {
        echo "# TYPE nextcloud_$name $type\n", $unit ? "# UNIT nextcloud_$name $unit\n" : '', "# HELP nextcloud_$name $help\n";
        echo "nextcloud_$name$labels $value\n";
    }
    echo "# EOF\n";
    exit;
}
if (!trusted()) {
    say('Access through untrusted domain', 400);
}
if (setting('maintenance') || setting('version') !== version()[0]) {
    say('maintenance', 503);
}

// An office asks for a document with a key. The stand-in has given nobody one, so each is refused as a wrong one is.
if (preg_match('#^/apps/richdocuments/wopi/files/\w+(/contents)?$#', $path)) {
    say('', (state()['apps']['richdocuments']['enabled'] ?? 'no') === 'yes' ? 403 : 404);
}
if (preg_match('#^/apps/groupfolders/folders(/|$)#', $path)) {
    require __DIR__ . '/ocs.php';
}
$provider = state()['providers']['school'] ?? null;
$base = rtrim(setting('overwrite.cli.url'), '/');

if ($path === '/login' && !isset($_GET['direct']) && $provider && (state()['apps']['user_oidc']['allow_multiple_user_backends'] ?? '1') === '0') {
    lead("$base/apps/user_oidc/login/{$provider['id']}");
}
if ($path === '/login') {
    page('sign in here (direct)');
}
if ($provider && $path === "/apps/user_oidc/login/{$provider['id']}") {
    if (setting('overwriteprotocol') !== 'https') {
        say('the sign-in wants https', 404);
    }
    session_open();
    $_SESSION['verifier'] = bin2hex(random_bytes(32));
    $_SESSION['state'] = bin2hex(random_bytes(16));
    $_SESSION['nonce'] = bin2hex(random_bytes(16));
    lead(discovery($provider)['authorization_endpoint'] . '?' . http_build_query([
        'client_id' => $provider['clientId'], 'response_type' => 'code', 'scope' => $provider['scope'], 'redirect_uri' => "$base/apps/user_oidc/code",
        'state' => $_SESSION['state'], 'nonce' => $_SESSION['nonce'], 'code_challenge' => base64url(hash('sha256', $_SESSION['verifier'], true)),
        'code_challenge_method' => 'S256',
    ]));
}
if ($provider && $path === '/apps/user_oidc/code') {
    session_open();
    isset($_GET['code']) && hash_equals($_SESSION['state'] ?? '', (string) ($_GET['state'] ?? '')) || say('not what was asked for', 403);
    $tokens = asked(discovery($provider)['token_endpoint'], [
        'grant_type' => 'authorization_code', 'code' => $_GET['code'], 'redirect_uri' => "$base/apps/user_oidc/code", 'code_verifier' => $_SESSION['verifier'],
        'client_id' => $provider['clientId'], 'client_secret' => $provider['secret'],
    ]);
    $claims = verified($tokens['id_token'], $provider);
    hash_equals($_SESSION['nonce'], $claims['nonce'] ?? '') || say('another sign-in', 403);
    $settings = $provider['settings'];
    $uid = $claims[$settings['mappingUid']];
    change(function (array &$state) use ($claims, $settings, $uid) {
        account($state, $uid, ['backend' => 'user_oidc', 'displayname' => $claims[$settings['mappingDisplayName']] ?? $uid, 'email' => $claims[$settings['mappingEmail']] ?? '']);
        if ($settings['groupProvisioning']) {
            $told = array_filter((array) ($claims[$settings['mappingGroups']] ?? []), fn ($gid) => preg_match($settings['groupWhitelistRegex'], $gid));
            foreach (groups_of($state, $uid) as $gid) {
                if (preg_match($settings['groupWhitelistRegex'], $gid) && !in_array($gid, $told, true)) {
                    leave_group($state, $uid, $gid);
                }
            }
            foreach ($told as $gid) {
                join_group($state, $uid, $gid);
            }
        }
    });
    session_regenerate_id(true);
    $_SESSION = ['uid' => $uid, 'requesttoken' => bin2hex(random_bytes(16)), 'sid' => $claims['sid'] ?? '', 'id_token' => $tokens['id_token']];
    change(function (array &$state) {
        $state['sessions'][session_id()] = ['uid' => $_SESSION['uid'], 'sid' => $_SESSION['sid']];
    });
    lead("$base/apps/files/");
}
if ($provider && $path === "/apps/user_oidc/backchannel-logout/{$provider['identifier']}" && $_SERVER['REQUEST_METHOD'] === 'POST') {
    $claims = verified((string) ($_POST['logout_token'] ?? ''), $provider);
    isset($claims['events']['http://schemas.openid.net/event/backchannel-logout']) || say('no sign-out', 400);
    change(function (array &$state) use ($claims) {
        $state['sessions'] = array_filter($state['sessions'] ?? [], fn ($session) => $session['sid'] !== $claims['sid']);
    });
    say([]);
}
if ($provider && $path === '/apps/user_oidc/sls') {
    session_open();
    hash_equals($_SESSION['requesttoken'] ?? '-', (string) ($_GET['requesttoken'] ?? '')) || say('CSRF check failed', 412);
    $hint = $_SESSION['id_token'] ?? '';
    change(function (array &$state) {
        unset($state['sessions'][session_id()]);
    });
    session_destroy();
    lead(discovery($provider)['end_session_endpoint'] . '?' . http_build_query(['client_id' => $provider['clientId'], 'post_logout_redirect_uri' => "$base/", 'id_token_hint' => $hint]));
}
$uid = who();
if ($uid !== null && isset($_SESSION['uid']) && !isset(state()['sessions'][session_id()])) {
    session_destroy();
    $uid = null;
}
if ($uid === null) {
    lead("$base/login");
}
if ($path === '/') {
    lead("$base/apps/files/");
}
page("<p id='uid'>$uid</p><p id='groups'>" . implode(' ', groups_of(state(), $uid)) . '</p>');

function page(string $says): never
{
    header('X-Stand-In: nextcloud');
    header('Content-Type: text/html; charset=utf-8');
    $token = $_SESSION['requesttoken'] ?? '';
    echo "<!doctype html><html><head data-requesttoken=\"$token\"><title>Files (stand-in)</title></head><body><p>Stand-in for Nextcloud ", version()[1], "</p>$says</body></html>";
    exit;
}

function lead(string $where): never
{
    header("Location: $where", true, 303);
    exit;
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function plain(string $part): string
{
    return base64_decode(strtr($part, '-_', '+/'));
}

function discovery(array $provider): array
{
    return asked($provider['discoveryEndpoint']);
}

function asked(string $url, ?array $form = null): array
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 20, CURLOPT_CAINFO => setting('default_certificates_bundle_path')]);
    if ($form !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, http_build_query($form));
    }
    $answer = curl_exec($curl);
    curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 200 || say("the sign-in did not answer: $url " . curl_error($curl) . ' ' . substr((string) $answer, 0, 200), 500);
    return json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
}

/** The claims of a token that the sign-in signed for us. */
function verified(string $token, array $provider): array
{
    [$head, $body, $signature] = [...explode('.', $token), '', '', ''];
    $header = json_decode(plain($head), true) ?? [];
    foreach (asked(discovery($provider)['jwks_uri'])['keys'] as $key) {
        if ($key['kid'] !== ($header['kid'] ?? null) || !isset($key['x5c'][0])) {
            continue;
        }
        $certificate = "-----BEGIN CERTIFICATE-----\n" . chunk_split($key['x5c'][0], 64) . "-----END CERTIFICATE-----\n";
        if (openssl_verify("$head.$body", plain($signature), openssl_pkey_get_public($certificate), OPENSSL_ALGO_SHA256) === 1) {
            $claims = json_decode(plain($body), true);
            $good = $claims['iss'] === discovery($provider)['issuer'] && in_array($provider['clientId'], (array) $claims['aud'], true) && $claims['exp'] > time();
            return $good ? $claims : say('a token for somebody else', 403);
        }
    }
    say('a token that nobody here signed', 403);
}
