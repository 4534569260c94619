import ModelCore
import ModelData
import ModelImages
import TestSupport
import Testing

@Suite struct SetsTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func write(_ value: UInt8, to name: String) throws {
    let pixels = try Tensor([UInt8](repeating: value, count: 2 * 3 * 3), [2, 3, 3])
    try FolderMaker.make(folder[name])
    try ImageFile(pixels: pixels).write(to: folder[name])
  }

  private func files() throws {
    for (name, hex) in try golden("sets.json") { try folder.write(bytes(hex as? String), to: name) }
  }

  // MARK: Folders

  @Test func classesByFolder() throws {
    for (index, name) in ["b/2.png", "b/10.PNG", "b/sub/x.png", "b/a-sub/y.png", "a/z.png", "Z/1.png"].enumerated() {
      try write(UInt8(index), to: name)
    }
    try folder.write("no picture", to: "b/notes.txt")
    try folder.write("no class", to: "file.png")
    let set = try ClassificationSet(imageFolder: folder.path)
    #expect(set.classNames == ["Z", "a", "b"] && set.labels == [0, 1, 2, 2, 2, 2])
    let root = folder.path.string + "/"
    #expect(
      (0..<6).map { set.location(of: $0).dropFirst(root.count) }
        == ["Z/1.png", "a/z.png", "b/10.PNG", "b/2.png", "b/a-sub/y.png", "b/sub/x.png"])
    #expect(try set.picture(3).bytes() == [UInt8](repeating: 0, count: 18))
    #expect(refusal { _ = try set.picture(6) }?.hasSuffix("has 6 samples, none at 6") == true)
  }

  @Test func trainingAndValidation() throws {
    for name in ["train/a/1.png", "train/b/1.png", "val/b/1.png"] { try write(1, to: name) }
    let sets = try ClassificationSets(contentsOf: folder.path)
    #expect(sets.training.labels == [0, 1] && sets.validation?.labels == [1])
    #expect(sets.validation?.classNames == ["a", "b"])
    try write(1, to: "val/c/1.png")
    #expect(
      refusal { _ = try ClassificationSets(contentsOf: folder.path) }?.hasSuffix("has a class 'c' that is not trained")
        == true)
  }

  @Test func badFolders() throws {
    #expect(
      refusal { _ = try ClassificationSet(imageFolder: folder.path) }?.contains("holds no folders of classes") == true)
    #expect(refusal { _ = try ClassificationSet(imageFolder: folder["none"]) }?.contains("cannot be examined") == true)
    try write(1, to: "a/1.png")
    try FolderMaker.make(folder["b/x"])
    #expect(refusal { _ = try ClassificationSet(imageFolder: folder.path) }?.contains("b: holds no pictures") == true)
    try folder.write("BM", to: "b/x.bmp")
    #expect(
      refusal { _ = try ClassificationSet(imageFolder: folder.path) }?.contains("x.bmp: is a picture in a format")
        == true)
  }

  // MARK: Arrays

  @Test func arrays() throws {
    let pixels = try Tensor((0..<24).map { UInt8($0) }, [2, 3, 2, 2])
    let set = try ClassificationSet(name: "x", pictures: pixels, labels: [1, 0])
    #expect(set.classNames == ["0", "1"] && !set.isInFiles)
    #expect(try set.picture(1).shape == [2, 2, 3])
    #expect(try set.picture(1).bytes() == [12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23])
    #expect(set.location(of: 1) == "x[1]")
    func line(_ labels: [Int], _ names: [String]? = nil, _ pictures: Tensor? = nil) -> String {
      refusal { _ = try ClassificationSet(name: "x", pictures: pictures ?? pixels, labels: labels, classNames: names) }
        ?? "nothing"
    }
    #expect(line([1]) == "x: has 2 pictures and 1 labels")
    #expect(line([0, -1]) == "x: has the label -1; labels count from 0")
    #expect(line([0, 2], ["a", "b"]) == "x: sample 1 has the label 2, where there are 2 classes; labels count from 0")
    #expect(line([0, 1], nil, try Tensor([0.5], [1, 1, 1])).contains("has pictures of float32"))
    #expect(line([0, 1], nil, try Tensor(.uint8, [2, 5, 5, 5])).contains("has pictures of shape [2, 5, 5, 5]"))
    #expect(
      refusal { try ClassificationSet(name: "x", pictures: pixels, labels: [1, 2]).checkClasses() }
        == "x: has no sample of the class '0', number 0 of 3; labels count from 0")
  }

  @Test func numPy() throws {
    try files()
    let keras = try ClassificationSets(contentsOf: folder["keras.npz"])
    #expect(keras.training.labels == [1, 0, 2, 1] && keras.validation?.labels == [1, 0])
    #expect(keras.validation?.classNames.count == 3)
    #expect(try keras.training.picture(1).shape == [2, 3, 1])
    #expect(try keras.training.picture(1).bytes() == [6, 7, 8, 9, 10, 11])
    let plain = try ClassificationSets(contentsOf: folder["plain.npz"])
    #expect(try plain.training.picture(0).bytes() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5])
    #expect(try plain.validation == nil && plain.training.picture(0).shape == [3, 2, 3])
    for (name, text) in [
      ("floats.npz", "has pictures of float64"), ("other.npz", "holds a, no pictures with labels"),
      ("long.npz", "has 4 pictures and 3 labels"), ("badtest.npz", "has the label 9, where there are 3 classes"),
      ("images.gz", "is no folder, .npz or .csv"),
    ] {
      let line = refusal { _ = try ClassificationSets(contentsOf: folder[name]) } ?? "nothing"
      #expect(line.contains(text) && line.contains(name), "\(line)")
    }
  }

  @Test func idx() throws {
    try files()
    for name in ["images", "images.gz"] {
      let array = try IDXFile.read(folder[name])
      #expect(try array.shape == [4, 2, 3] && array.bytes() == (0..<24).map { UInt8($0) })
    }
    let set = try ClassificationSet(idx: folder["images.gz"], labels: folder["labels.gz"])
    #expect(try set.labels == [1, 0, 2, 1] && set.picture(3).bytes() == [18, 19, 20, 21, 22, 23])
    for name in ["short.gz", "long.gz", "bomb.gz"] {
      let line = refusal { _ = try IDXFile.read(folder[name]) } ?? "nothing"
      #expect(line.contains(name), "\(line)")
    }
    let whole = try golden("sets.json")["images.gz"] as? String
    for cut in [2, 10, 20, 40] {
      try folder.write(bytes(whole).prefix(cut), to: "cut.gz")
      #expect(refusal { _ = try IDXFile.read(folder["cut.gz"]) }?.contains("cut.gz") == true)
    }
    try folder.write([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0] as [UInt8], to: "floats")
    #expect(refusal { _ = try IDXFile.read(folder["floats"]) }?.contains("elements of type 13") == true)
    #expect(refusal { _ = try IDXFile.read(folder.write([0, 0, 8], to: "stub")) }?.contains("no IDX file") == true)
  }

  // MARK: CSV

  @Test func csvOfPaths() throws {
    try write(1, to: "p/1.png")
    try write(2, to: "p/a, b.png")
    try folder.write("path,label\np/1.png,dog\r\n\"p/a, b.png\", cat\n\n", to: "set.csv")
    let set = try ClassificationSets(contentsOf: folder["set.csv"]).training
    #expect(set.classNames == ["cat", "dog"] && set.labels == [1, 0])
    #expect(try set.picture(1).bytes() == [UInt8](repeating: 2, count: 18))
    for (text, expected) in [
      ("p/1.png,1\np/none.png,0\n", "line 2: names a file that is not there"),
      ("p/1.png,1,2\np/1.png,0\n", "line 2: has 1 pixels where the lines before"),
      ("path,label\n", "has no samples"), ("", "has no samples"), ("p/1.png,1\n", "has no sample of the class '0'"),
      ("p/1.png,\"1\n", "line 1: has a quote without its end"), ("p/1.png,0\nx\n", "line 2: has 1 fields"),
    ] {
      try folder.write(text, to: "bad.csv")
      let line = refusal { _ = try ClassificationSets(contentsOf: folder["bad.csv"]) } ?? "nothing"
      #expect(line.contains(expected), "\(text): \(line)")
    }
  }

  @Test func csvOfPixels() throws {
    try folder.write("label,pixel0,pixel1,pixel2,pixel3\n1,0,1,2,3\n0,4,5,6,255\n", to: "set.csv")
    let set = try ClassificationSet(csv: folder["set.csv"])
    #expect(
      try set.labels == [1, 0] && set.picture(1).shape == [2, 2, 1] && set.picture(1).bytes() == [4, 5, 6, 255])
    let wide = try ClassificationSet(csv: folder["set.csv"], shape: [1, 4, 1])
    #expect(try wide.picture(0).shape == [1, 4, 1])
    for (text, expected) in [
      ("1,0,1,2\n", "has 3 pixels a line, which are not a grey square"),
      ("0,0,1,2,300\n", "line 1: has a pixel '300'"), ("0,1,2,3,4\n1,1,2,3\n", "line 2: has 3 pixels where"),
    ] {
      try folder.write(text, to: "bad.csv")
      let line = refusal { _ = try ClassificationSet(csv: folder["bad.csv"]) } ?? "nothing"
      #expect(line.contains(expected), "\(text): \(line)")
    }
  }
}
