import ModelReports
import TestSupport
import Testing

@Suite struct ConfusionPlotTests {
  @Test func twoClasses() throws {
    var matrix = try ConfusionMatrix(classCount: 2)
    try matrix.add(true: [0, 0, 0, 0, 1], predicted: [0, 0, 0, 1, 1])
    let all = try #require(elements(matrix.svg(names: ["cat", "<dog>"])))
    let cells = all.filter { $0.name == "rect" && $0.attributes["fill-opacity"] != nil }
    #expect(cells.map { $0.attributes["class"] } == ["mu-right", "mu-wrong", "mu-right"])
    #expect(cells.map { $0.attributes["fill-opacity"] } == ["0.78", "0.34", "1"])
    let titles = all.filter { $0.name == "title" }.map(\.text)
    #expect(
      titles == [
        "true cat, predicted cat: 3 (75.0%)", "true cat, predicted <dog>: 1 (25.0%)",
        "true <dog>, predicted <dog>: 1 (100.0%)",
      ])
    #expect(all.filter { $0.name == "text" }.map(\.text).suffix(3) == ["3", "1", "1"])
  }

  @Test(arguments: [1, 10, 40, 41, 100, 200]) func anyNumberOfClasses(count: Int) throws {
    var matrix = try ConfusionMatrix(classCount: count)
    for truth in 0..<count {
      for prediction in 0..<count { try matrix.add(true: truth, predicted: prediction) }
    }
    let svg = try matrix.svg()
    #expect(elements(svg) != nil && svg.utf8.count < 1_000_000)
    #expect(try elements(ConfusionMatrix(classCount: count).svg()) != nil)
    let folder = try TemporaryFolder()
    try matrix.write(svg: folder["confusion.svg"])
    #expect(try text(folder["confusion.svg"]) == svg)
  }

  @Test func tooManyClasses() throws {
    let matrix = try ConfusionMatrix(classCount: 201)
    #expect(
      refusal { _ = try matrix.svg() } == "a confusion matrix of 201 classes cannot be drawn; "
        + "up to 200 can; mistakes(limit:) lists what matters in it")
  }
}
