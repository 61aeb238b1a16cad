def profile(frame):
    return {"rows": len(frame)}
