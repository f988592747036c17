"""The commands of the command line besides ``serve``: each module is one, or a part of one."""
