keepFrames("runs/demo_small--si_sdr@1--mixture--vocals-drums-bass-other.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-535],"drums SI-SDR":[-531],"bass SI-SDR":[-491],"other SI-SDR":[-346]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-685],"drums SI-SDR":[-459],"bass SI-SDR":[-399],"other SI-SDR":[-405]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-476],"drums SI-SDR":[-290],"bass SI-SDR":[-546],"other SI-SDR":[-622]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-777],"drums SI-SDR":[-404],"bass SI-SDR":[-364],"other SI-SDR":[-433]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-512],"drums SI-SDR":[-408],"bass SI-SDR":[-868],"other SI-SDR":[-231]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-469],"drums SI-SDR":[-633],"bass SI-SDR":[-631],"other SI-SDR":[-239]}}
]);
