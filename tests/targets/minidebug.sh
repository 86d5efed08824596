#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: minidebug.sh PROGRAM OUTPUT OBJCOPY STRIP
#
# Makes of PROGRAM a stripped copy OUTPUT that carries its symbol table compressed in .gnu_debugdata, as
# some distributions ship their programs.
set -eu
program=$1 output=$2 objcopy=$3 strip=$4
"$objcopy" -S --remove-section .comment "$program" "$output.stripped"
"$strip" --keep-file-symbols --only-keep-debug -R .debug_info -R .debug_line -R .debug_abbrev \
	-R .debug_str -R .debug_line_str -R .debug_aranges -R .debug_loclists -R .debug_rnglists \
	-o "$output.symbols" "$program"
xz --force "$output.symbols"
"$objcopy" --add-section .gnu_debugdata="$output.symbols.xz" "$output.stripped" "$output"
rm -f "$output.stripped" "$output.symbols.xz"
