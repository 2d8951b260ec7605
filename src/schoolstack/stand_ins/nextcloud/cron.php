<?php
// A stand-in for Nextcloud's background jobs. Not Nextcloud: see stand_in.php.
declare(strict_types=1);
require __DIR__ . '/stand_in.php';

change(function (array &$state) {
    $state['jobs'] = ($state['jobs'] ?? 0) + 1;
});
