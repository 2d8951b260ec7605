<?php
// A stand-in for Nextcloud's page for programs. Not Nextcloud: see stand_in.php.
declare(strict_types=1);
require __DIR__ . '/stand_in.php';

[$version, $versionstring] = version();
$installed = (bool) setting('installed', false);
if ($installed && !trusted()) {
    say(['error' => 'Trusted domain error.', 'code' => 15], 400);
}
say([
    'installed' => $installed,
    'maintenance' => (bool) setting('maintenance', false),
    'needsDbUpgrade' => $installed && setting('version') !== $version,
    'version' => $version,
    'versionstring' => $versionstring,
    'edition' => '',
    'productname' => 'Nextcloud (stand-in)',
    'extendedSupport' => false,
]);
