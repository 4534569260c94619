import Foundation
import Testing

/// `mutils train` and `val` of a detector, and the built-in one; the originals judge them in the interop suite.
@Suite struct TrainToolTests {
  private func drawn(_ count: Int, size: Int = 64) throws -> Folder {
    let folder = try Folder()
    let result = try Tool.run(
      "dataset", "shapes", "set", "--train", "\(count)", "--val", "4", "--size", "\(size)", "--seed", "3",
      in: folder.url)
    try #require(result.status == 0)
    return folder
  }

  private func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }

  @Test func linesOfARun() throws {
    let folder = try drawn(6)
    let common = ["--model", "yolov6lite_s", "--image-size", "64", "--batch-size", "2", "--threads", "2"]
    let run = try Tool.run(
      ["train", "set/data.yaml"] + common + ["--epochs", "2", "--json", "--quiet", "-o", "run"], in: folder.url)
    #expect(run.status == 0 && run.error.isEmpty, "\(run.error)")
    let lines = try objects(run.output)
    let steps = lines.filter { $0["step"] != nil }
    #expect(steps.compactMap { $0["step"] as? Int } == [1, 2, 3, 4, 5, 6])
    #expect(steps.allSatisfy { ($0["items"] as? [String: Double])?.count == 3 && ($0["lr"] as? [Double])?.count == 3 })
    let metrics = try #require(lines.dropLast().last?["metrics"] as? [String: Double])
    #expect(Set(["map50", "map5095", "precision", "recall", "f1"]).isSubset(of: metrics.keys))
    #expect(lines.last?["best"] as? String == "run/best.pt" && lines.last?["interrupted"] as? Bool == false)
    let table = try String(contentsOf: folder.url("run/results.csv"), encoding: .utf8).split(separator: "\n")
    #expect(
      table[0] == "epoch,step,iou_loss,dfl_loss,cls_loss,lr0,lr1,lr2,map50,map,precision,recall,seconds"
        && table.count == 3)
    let judged = try Tool.run("val", "run/best.pt", "set/data.yaml", "--json", in: folder.url).json
    #expect(judged["task"] as? String == "detect" && judged["count"] as? Int == 4)
    #expect((judged["metrics"] as? [String: Double])?["map50"] == metrics["map50"])
    let stripped = try Tool.run("train", "set/data.yaml", "--resume", "run", in: folder.url)
    #expect(stripped.status == 1 && stripped.error.contains("was stripped"))
  }

  @Test func textOfARun() throws {
    let folder = try drawn(2)
    let run = try Tool.run(
      "train", "set/data.yaml", "--model", "yolov6lite_s", "--image-size", "64", "--batch-size", "2", "--epochs", "1",
      "--eval-interval", "1", "--stop-aug-last-n-epoch", "9", "-o", "run", in: folder.url)
    let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false)
    try #require(lines.count > 3, "\(run.error)")
    #expect(lines.first == "yolov6lite_s at 64: 2 pictures of 6 classes, 1 step an epoch")
    #expect(lines[1] == "     Epoch  iou_loss  dfl_loss  cls_loss")
    #expect(lines[2].hasPrefix("       0/0") && lines[3].hasPrefix("Epoch: 0 | mAP@0.5: "))
    #expect(run.error.contains("all 1 epochs are among the last 9"))
  }

  /// Whatever the weights are written as, and wherever they are used.
  @Test func theSizeOfARunGoesWithItsWeights() throws {
    let folder = try drawn(2)
    func run(_ arguments: String...) throws -> Tool.Result {
      let result = try Tool.run(arguments, in: folder.url)
      #expect(result.status == 0, "\(arguments): \(result.error)")
      return result
    }
    let begun = try run(
      "train", "set", "--model", "yolov6lite_s", "--img", "100", "--batch", "2", "--epochs", "1", "-o", "run")
    #expect(begun.error.contains("pictures come as 128 pixels") && begun.output.hasPrefix("yolov6lite_s at 128: "))
    let plain = try run("val", "run/best.pt", "set", "--json").json
    for file in ["a.safetensors", "fused.pt", "a.onnx"] {
      _ = try run(file == "fused.pt" ? "fuse" : "convert", "run/best.pt", "-o", file, "--verify")
      if file == "a.onnx" {
        _ = try run("detect", file, "set/images/val", "--json")
        continue
      }
      let judged = try run("val", file, "set", "--json").json
      let first = try #require(plain["metrics"] as? [String: Double])
      let second = try #require(judged["metrics"] as? [String: Double])
      // The same network in other steps may order equal scores otherwise.
      #expect(file == "fused.pt" || first == second, "\(file)")
      #expect(try run("info", file).error.contains("for a picture of 128 x 128"), "\(file)")
    }
    let again = try run("train", "set", "--model", "run/best.pt", "--epochs", "1", "-o", "again")
    #expect(again.output.hasPrefix("run/best.pt at 128: "))
    let finished = try Tool.run("train", "set", "--resume", "run/last.pt", in: folder.url)
    #expect(finished.status == 1 && finished.error.contains("run/last.pt: has had its 1 epochs, and was stripped then"))
    // The best weights alone are a run, too.
    try FileManager.default.removeItem(at: folder.url("run/last.pt"))
    let taken = try Tool.run("train", "set", "--epochs", "1", "-o", "run", in: folder.url)
    #expect(taken.status == 1 && taken.error.contains("run: holds a run already"))
    let exported = try Tool.run("train", "set", "--model", "a.onnx", "-o", "other", in: folder.url)
    #expect(exported.status == 1 && exported.error.contains("a.onnx: is an ONNX model, which is not trained"))
  }

  /// It was taught such pictures, not these.
  @Test func theBuiltInDetectorFindsShapes() throws {
    let folder = try drawn(1, size: 128)
    let result = try Tool.run("detect", "set/images/val", "-o", "found", "--json", in: folder.url)
    #expect(result.status == 0, "\(result.error)")
    let images = try #require(result.json["images"] as? [[String: Any]])
    var (there, right) = (0, 0)
    let names = ["circle", "square", "triangle", "star", "cross", "ring"]
    for (index, image) in images.enumerated() {
      let labels = try String(contentsOf: folder.url("set/labels/val/0000\(index).txt"), encoding: .utf8)
      var found = (image["detections"] as? [[String: Any]] ?? []).compactMap { $0["name"] as? String }
      for line in labels.split(separator: "\n") {
        there += 1
        let name = names[Int(line.prefix(1)) ?? 0]
        if let place = found.firstIndex(of: name) {
          found.remove(at: place)
          right += 1
        }
      }
    }
    #expect(images.count == 4 && there > 4 && right * 3 >= there * 2, "\(right) of \(there)")
  }
}
