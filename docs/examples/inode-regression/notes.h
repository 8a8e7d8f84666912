/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool under test: "notes" installs itself and its plugins below a root directory. How many
 * files and directories it makes there is what container images of it cost in inodes.
 */
#ifndef NOTES_H
#define NOTES_H

/** Install into an existing root. @return 0 or -errno, with part of it made */
int notes_install(const char *root, unsigned plugins);

/** Bring every plugin of an installation to a new version. @return 0 or -errno */
int notes_upgrade(const char *root, unsigned plugins, const char *version);

#endif
