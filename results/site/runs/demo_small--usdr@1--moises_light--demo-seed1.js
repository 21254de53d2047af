keepFrames("runs/demo_small--usdr@1--moises_light--demo-seed1.js",[
{"step":1.0,"frames":{"vocals uSDR":[188],"drums uSDR":[142],"bass uSDR":[247],"other uSDR":[215]}},
{"step":1.0,"frames":{"vocals uSDR":[231],"drums uSDR":[293],"bass uSDR":[200],"other uSDR":[286]}},
{"step":1.0,"frames":{"vocals uSDR":[250],"drums uSDR":[378],"bass uSDR":[12],"other uSDR":[148]}},
{"step":1.0,"frames":{"vocals uSDR":[281],"drums uSDR":[319],"bass uSDR":[197],"other uSDR":[266]}},
{"step":1.0,"frames":{"vocals uSDR":[61],"drums uSDR":[318],"bass uSDR":[-6],"other uSDR":[127]}},
{"step":1.0,"frames":{"vocals uSDR":[353],"drums uSDR":[243],"bass uSDR":[97],"other uSDR":[341]}}
]);
