keepFrames("runs/demo_small--usdr@1--mixture--vocals-drums-bass-other.js",[
{"step":1.0,"frames":{"vocals uSDR":[-552],"drums uSDR":[-530],"bass uSDR":[-496],"other uSDR":[-352]}},
{"step":1.0,"frames":{"vocals uSDR":[-673],"drums uSDR":[-454],"bass uSDR":[-395],"other uSDR":[-411]}},
{"step":1.0,"frames":{"vocals uSDR":[-474],"drums uSDR":[-292],"bass uSDR":[-567],"other uSDR":[-613]}},
{"step":1.0,"frames":{"vocals uSDR":[-771],"drums uSDR":[-401],"bass uSDR":[-362],"other uSDR":[-434]}},
{"step":1.0,"frames":{"vocals uSDR":[-514],"drums uSDR":[-408],"bass uSDR":[-878],"other uSDR":[-239]}},
{"step":1.0,"frames":{"vocals uSDR":[-477],"drums uSDR":[-628],"bass uSDR":[-617],"other uSDR":[-239]}}
]);
