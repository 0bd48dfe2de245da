from test_reload import *
def test_dbg(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    s.write_module("hello", hello(2))
    outcome = s.reload()
    try:
        version(s)
    except Exception as e:
        print("EXC", e)
    print(s.read("instar.conf") if hasattr(s,'read') else '')
    print(s.log() if callable(getattr(s,'log',None)) else s.read("logs/error_log"))
    assert 0
