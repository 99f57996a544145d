# A submission that can change its own files leaves something to its next run.
import os
import shutil

n = int(input())
place = os.path.dirname(os.path.abspath(__file__))
done = []
for name, attempt in {
    "create": lambda: open(place + "/new", "w"),
    "write": lambda: open(__file__, "a"),
    "remove": lambda: os.remove(__file__),
    "rename": lambda: os.rename(__file__, place + "/other.py"),
    "chmod": lambda: os.chmod(__file__, 0o777),
    "link": lambda: os.link(__file__, place + "/link.py"),
    "link elsewhere": lambda: os.link(__file__, "/work/link.py"),
    "symlink": lambda: os.symlink("/etc/shadow", place + "/1.ans"),
    "remove all": lambda: shutil.rmtree(place),
    "by /proc": lambda: open("/proc/self/cwd/../submission/new", "w"),
}.items():
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(48271 * n % 2147483647 if done else 0)
