keepFrames("runs/demo_small--usdr@1--bs_roformer--demo-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[162],"drums uSDR":[123],"bass uSDR":[347],"other uSDR":[213]}},
{"step":1.0,"frames":{"vocals uSDR":[175],"drums uSDR":[232],"bass uSDR":[300],"other uSDR":[298]}},
{"step":1.0,"frames":{"vocals uSDR":[206],"drums uSDR":[272],"bass uSDR":[25],"other uSDR":[176]}},
{"step":1.0,"frames":{"vocals uSDR":[263],"drums uSDR":[256],"bass uSDR":[353],"other uSDR":[286]}},
{"step":1.0,"frames":{"vocals uSDR":[204],"drums uSDR":[358],"bass uSDR":[98],"other uSDR":[196]}},
{"step":1.0,"frames":{"vocals uSDR":[244],"drums uSDR":[218],"bass uSDR":[75],"other uSDR":[258]}}
]);
