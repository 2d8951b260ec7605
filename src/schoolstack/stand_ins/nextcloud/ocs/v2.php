<?php
// A stand-in for Nextcloud's OCS, second version. Not Nextcloud: see ../stand_in.php.
declare(strict_types=1);
require __DIR__ . '/../ocs.php';
