#!/bin/sh
# No service starts while its package is installed (invoke-rc.d(8)).
exit 101
