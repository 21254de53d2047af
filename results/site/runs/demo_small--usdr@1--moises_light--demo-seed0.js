keepFrames("runs/demo_small--usdr@1--moises_light--demo-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[219],"drums uSDR":[108],"bass uSDR":[284],"other uSDR":[248]}},
{"step":1.0,"frames":{"vocals uSDR":[239],"drums uSDR":[159],"bass uSDR":[247],"other uSDR":[257]}},
{"step":1.0,"frames":{"vocals uSDR":[269],"drums uSDR":[177],"bass uSDR":[64],"other uSDR":[171]}},
{"step":1.0,"frames":{"vocals uSDR":[210],"drums uSDR":[163],"bass uSDR":[257],"other uSDR":[269]}},
{"step":1.0,"frames":{"vocals uSDR":[170],"drums uSDR":[173],"bass uSDR":[21],"other uSDR":[205]}},
{"step":1.0,"frames":{"vocals uSDR":[250],"drums uSDR":[152],"bass uSDR":[129],"other uSDR":[274]}}
]);
