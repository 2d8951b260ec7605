"""People, groups and class folders in Nextcloud, as they follow from the class list.

Nothing here asks a server: values go in, a plan comes out. The module ``nextcloud_roster`` reads and writes.
"""
