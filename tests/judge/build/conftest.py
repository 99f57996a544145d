from tests.judge.building import box, built, cache, judged, languages

__all__ = ["box", "built", "cache", "judged", "languages"]
