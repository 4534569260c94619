import Foundation
import Testing

/// What each subcommand prints, for people and as JSON, on files that the originals wrote.
@Suite struct SubcommandTests {
  @Test func info() throws {
    let result = try Tool.run("info", Tool.fixture("training_checkpoint.pt"))
    #expect(result.output == "Model Summary: 28 layers, 694 parameters, 0 gradients, 0.2 GFLOPs\n")
    #expect(result.error == "mutils: note: for a picture of 640 x 640; give --image-size for another\n")
    let json = try Tool.run("info", Tool.fixture("training_checkpoint.pt"), "--json", "--image-size", "480x640").json
    #expect(json["layers"] as? Int == 28 && json["parameters"] as? Int == 694 && json["gradients"] as? Int == 0)
    let gflops = try #require(json["gflops"] as? [String: Double])
    #expect(Set(gflops.keys) == ["thop", "ultralytics", "readme", "macs"] && json["gflopsReason"] == nil)
    #expect(json["imageSize"] as? [Int] == [480, 640])
    #expect((json["modules"] as? [Any])?.count == 28 && json["buffers"] is Int)
    #expect(json["key"] as? String == "ema" && json["keys"] as? [String] == ["ema", "model"])
    let model = try Tool.run("info", Tool.fixture("training_checkpoint.pt"), "--key", "model")
    #expect(model.output.hasPrefix("Model Summary: 28 layers, 694 parameters"))
    let missing = try Tool.run("info", Tool.fixture("training_checkpoint.pt"), "--key", "nothing")
    #expect(missing.status == 1 && missing.error.contains("there is no key 'nothing'; the file has"))
  }

  @Test func errorsAsJSON() throws {
    let result = try Tool.run("info", "/nowhere.pt", "--json")
    #expect(result.status == 1 && result.output.isEmpty)
    #expect(
      result.error
        == #"{"error":{"file":"/nowhere.pt","kind":"missing","reason":"cannot be opened: No such file or directory"}}"#
        + "\n")
    let unknown = try Tool.run("strip", "resnet0", "--json")
    #expect(
      unknown.status == 1 && unknown.error.hasPrefix(#"{"error":{"#) && unknown.error.contains(#""kind":"missing""#))
  }

  @Test func infoExtrapolates() throws {
    func gflops(_ arguments: String...) throws -> [String: Double] {
      try #require(try Tool.run(["info", "--json"] + arguments).json["gflops"] as? [String: Double])
    }
    let small = try gflops("--extrapolate", "--image-size", "32")
    let large = try gflops("--extrapolate", "--image-size", "96x64")
    #expect(small["extrapolated"] == small["thop"])
    #expect(large["extrapolated"] == small["extrapolated"].map { $0 * 6 })
    #expect(try gflops("--image-size", "32").keys.sorted() == ["macs", "readme", "thop", "ultralytics"])
    let wrong = try Tool.run("info", "--extrapolate", "--convention", "macs")
    #expect(wrong.status == 64 && wrong.error.contains("--extrapolate is a way of measuring thop's FLOPs"))
  }

  @Test func infoTables() throws {
    let table = try Tool.run("info", Tool.fixture("conv_bn_small.pt"), "--detailed").output.split(separator: "\n")
    #expect(
      table[1]
        == "layer                                     name  gradient   parameters                shape         mu      sigma"
    )
    #expect(
      table[2]
        == "    0                                 0.weight      True          216         [8, 3, 3, 3]    0.00845       0.11"
    )
    let modules = try Tool.run("info", Tool.fixture("yolov5_tiny.pt"), "--modules").output.split(separator: "\n")
    #expect(
      modules.count == 30
        && modules[5] == "       216 31.12% 22,118,400  1x8x320x320  model.0.conv (Conv2d)", "\(modules[5])")
  }

  @Test func fuse() throws {
    let folder = try Folder()
    let result = try Tool.run("fuse", Tool.fixture("training_checkpoint.pt"), "-o", folder.path("out.pt"))
    #expect(result.output == "Fused 6 batch norms, 694 -> 662 parameters\nSaved \(folder.path("out.pt"))\n")
    let json = try Tool.run("fuse", Tool.fixture("trap_pool_between.pt"), "-o", folder.path("trap.pt"), "--json").json
    #expect((json["fused"] as? [Any])?.isEmpty == true && json["output"] as? String == folder.path("trap.pt"))
    let refused = try #require((json["refused"] as? [[String: String]])?.first)
    #expect(
      refused == ["conv": "0", "bn": "2", "reason": "MaxPool2d stands between the convolution and the batch norm"])
    #expect(json["parametersBefore"] as? Int == json["parametersAfter"] as? Int)
  }

  @Test func fuseBareStateDict() throws {
    let folder = try Folder()
    let input = Tool.fixture("bare_state_dict.safetensors")
    let alone = try Tool.run("fuse", input, "-o", folder.path("out.safetensors"))
    #expect(alone.status == 1)
    #expect(
      alone.error
        == "mutils: error: \(input): is a bare state dict of no known architecture, which does not say "
        + "what follows what; name the pairs with --pair 'CONV=BN' and give --eps\n")
    let pair = "conv=bn"
    let noEps = try Tool.run("fuse", input, "-o", folder.path("out.safetensors"), "--pair", pair)
    #expect(noEps.status == 1 && noEps.error.contains("eps is not in a state dict; give --eps"))
    let wrong = try Tool.run("fuse", input, "-o", folder.path("out.safetensors"), "--pair", "x=y", "--eps", "1e-5")
    #expect(wrong.status == 1 && wrong.error.contains("--pair x=y: names no convolution"))
    #expect(try folder.names.isEmpty)
    let fused = try Tool.run(
      "fuse", input, "-o", folder.path("out.safetensors"), "--pair", pair, "--eps", "1e-5", "--json"
    ).json
    #expect(fused["fused"] as? [[String: String]] == [["conv": "conv", "bn": "bn"]])
    let whole = try Tool.run(
      "fuse", Tool.fixture("conv_bn_small.pt"), "-o", folder.path("x.pt"), "--pair", pair, "--eps", "1")
    #expect(whole.status == 1 && whole.error.contains("holds whole modules, which know their eps"))
  }

  @Test func pruneAndSparsity() throws {
    let folder = try Folder()
    let out = folder.path("out.pt")
    let result = try Tool.run("prune", Tool.fixture("yolov5_tiny.pt"), "--amount", "30%", "-o", out, "--json").json
    let layers = try #require(result["layers"] as? [[String: Any]])
    #expect(layers.count > 1 && layers[0]["name"] as? String == "model.0.conv.weight")
    #expect(layers[0]["elements"] as? Int == 216 && layers[0]["zeros"] as? Int == 65)
    let sparsity = try Tool.run("sparsity", out, "--json").json
    #expect(sparsity["elements"] as? Int == 694)
    let zeros = try #require(sparsity["zeros"] as? Int)
    // Foundation's reader of JSON is off by a unit in the last place at times.
    for share in [sparsity["sparsity"], result["sparsity"]] {
      #expect(abs(try #require(share as? Double) - Double(zeros) / 694) < 1e-15)
    }
    let text = try Tool.run("sparsity", out, "--quiet").output
    #expect(text.contains("global sparsity: \(zeros) of 694 parameters are zero"))
    let one = try Tool.run("prune", Tool.fixture("yolov5_tiny.pt"), "--amount", "1", "-o", out, "-f", "--json").json
    #expect((one["layers"] as? [[String: Any]])?.allSatisfy { $0["zeros"] as? Int == 1 } == true)
    let tooMany = try Tool.run("prune", Tool.fixture("yolov5_tiny.pt"), "--amount", "100000", "-o", folder.path("x.pt"))
    #expect(tooMany.status == 1 && tooMany.error.contains("100000 cannot be pruned of"))
    #expect(try folder.names == ["out.pt"])
  }

  @Test func convert() throws {
    let folder = try Folder()
    let result = try Tool.run("convert", Tool.fixture("dtypes.pt"), "-o", folder.path("out.safetensors"), "--json")
    #expect(result.status == 0 || result.error.contains("safetensors"))
    let json = try Tool.run("convert", Tool.fixture("protocol2.pt"), "-o", folder.path("small.safetensors"), "--json")
      .json
    #expect(json["output"] as? String == folder.path("small.safetensors"))
    let size = try FileManager.default.attributesOfItem(atPath: folder.path("small.safetensors"))[.size] as? Int
    #expect(json["bytes"] as? Int == size && json["tensors"] is Int)
    #expect(
      try Tool.run("convert", folder.path("small.safetensors"), "-o", folder.path("half.pt"), "--dtype", "float16")
        .status == 0)
  }
}
