<?php
// Says what reached PHP, as JSON. What it is to do beside that stands in the header X-Do.
function body(): array {
    $seen = hash_init('sha256');
    $length = 0;
    $in = fopen('php://input', 'rb');
    $progress = $_SERVER['HTTP_X_PROGRESS'] ?? '';
    while (!feof($in)) {
        $part = fread($in, 1 << 20);
        $length += strlen($part);
        // Hashing gigabytes would be what is measured.
        if ($length <= 64 << 20) {
            hash_update($seen, $part);
        }
        if ($progress !== '' && preg_match('/^[a-z]+$/', $progress)) {
            file_put_contents("/var/lib/nextcloud/progress-$progress", (string) $length);
        }
    }
    return ['length' => $length, 'sha256' => hash_final($seen)];
}

$do = $_SERVER['HTTP_X_DO'] ?? '';
$more = [];
if (str_starts_with($do, 'session')) {
    session_start();
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    $more['began'] = microtime(true);
    usleep(1000 * (int) substr($do, strlen('session')));
    $more['ended'] = microtime(true);
    $more['session'] = $_SESSION['count'];
    session_write_close();
} elseif (str_starts_with($do, 'wait')) {
    usleep(1000 * (int) substr($do, strlen('wait')));
} elseif ($do === 'log') {
    error_log('said by the program');
    file_put_contents('php://stderr', "said by a library\n");
} elseif ($do === 'headers') {
    foreach (['X-Frame-Options: DENY', 'X-Robots-Tag: all', 'Strict-Transport-Security: max-age=1', 'Referrer-Policy: no-referrer'] as $header) {
        header($header);
    }
} elseif ($do === 'cached') {
    apcu_store('from', getmypid());
} elseif ($do === 'ini') {
    foreach (['memory_limit', 'upload_max_filesize', 'post_max_size', 'upload_tmp_dir', 'output_buffering', 'opcache.enable',
              'opcache.memory_consumption', 'opcache.interned_strings_buffer', 'opcache.revalidate_freq', 'apc.shm_size', 'session.save_handler', 'session.save_path',
              'redis.session.locking_enabled', 'redis.session.lock_expire', 'expose_php'] as $name) {
        $more['ini'][$name] = ini_get($name);
    }
    $more['jit'] = opcache_get_status(false)['jit']['on'] ?? null;
    $more['apcu'] = apcu_store('x', 1);
}
if ($do === 'metrics') {
    // In the form that Nextcloud has, and with the empty lines that it had once: units that are not the end of a name.
    header('Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8');
    echo "# TYPE nextcloud_a gauge\n# UNIT nextcloud_a jobs\n# HELP nextcloud_a Jobs\nnextcloud_a 1\n\n";
    echo "# TYPE nextcloud_b_seconds gauge\n# UNIT nextcloud_b_seconds seconds\nnextcloud_b_seconds 2\n\n# EOF\n";
    exit;
}
$server = static fn (string $name): ?string => isset($_SERVER[$name]) ? (string) $_SERVER[$name] : null;
$said = $more + [
    'by' => basename($_SERVER['SCRIPT_NAME']),
    'script' => $_SERVER['SCRIPT_NAME'],
    'path' => $server('PATH_INFO'),
    'uri' => $server('REQUEST_URI'),
    'query' => $server('QUERY_STRING'),
    'get' => $_GET,
    'method' => $server('REQUEST_METHOD'),
    'https' => $server('HTTPS'),
    'from' => $server('REMOTE_ADDR'),
    'forwarded' => $server('HTTP_X_FORWARDED_FOR'),
    'proxy' => $server('HTTP_PROXY'),
    'own_headers' => $server('modHeadersAvailable'),
    'front' => $server('front_controller_active'),
    'range' => $server('HTTP_RANGE'),
    'destination' => $server('HTTP_DESTINATION'),
    'type' => $server('CONTENT_TYPE'),
    'environment' => ['PATH' => getenv('PATH'), 'NEXTCLOUD_CONFIG_DIR' => getenv('NEXTCLOUD_CONFIG_DIR')],
    'user' => posix_getpwuid(posix_geteuid())['name'],
    'pid' => getmypid(),
    'body' => body(),
    'peak' => memory_get_peak_usage(true),
];
header('Content-Type: application/json');
echo json_encode($said);
