import Testing

/// `mutils run`; what it computes is judged by PyTorch in the interop suite.
@Suite struct RunToolTests {
  @Test func outputs() throws {
    let result = try Tool.run("run", Tool.fixture("yolov5_tiny.pt"), "--image-size", "32x64", "--threads", "1")
    #expect(result.status == 0 && result.error.isEmpty)
    #expect(result.output.hasPrefix("output.0  float32 [1, "))
    let json = try Tool.run(
      "run", Tool.fixture("yolov5_tiny.pt"), "--image-size", "32x64", "--save", "model.0", "--json"
    ).json
    let outputs = try #require(json["outputs"] as? [[String: Any]])
    #expect(outputs.last?["name"] as? String == "model.0" && outputs.last?["shape"] as? [Int] == [1, 8, 16, 32])
    #expect(outputs.allSatisfy { $0["dtype"] as? String == "float32" && $0["mean"] is Double })
  }

  @Test(arguments: [
    ["run", "resnet18", "--batch-size", "0"], ["run", "resnet18", "-o", "x.pt"],
    ["run", "resnet18", "--input", "x.png", "--seed", "1"], ["run", "resnet18", "--image-size", "0"],
  ])
  func wrongUsage(_ arguments: [String]) throws {
    #expect(try Tool.run(arguments).status == 64)
  }
}
