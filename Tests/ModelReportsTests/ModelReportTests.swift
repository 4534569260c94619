import ModelReports
import TestSupport
import Testing

@Suite struct ModelReportTests {
  private func names(_ html: String, _ element: String) throws -> [String] {
    try #require(elements(html)).filter { $0.name == element }.map(\.text)
  }

  @Test func everyItem() throws {
    let table = ModelReport.Table(title: "More", columns: ["x"], rows: [["a&b"]])
    let items: [ModelReport.Item] = [
      .headline("Model <Summary>"), .text("some"), .figures([.init("zeros", "3")]), .entries([.init("class", "<C>")]),
      .table(table), .folded(table),
      .pair(
        [.diagram(BlockDiagram(title: "d", blocks: [.init("a")]))],
        [
          .bars(BarPlot(title: "b", measures: [], rows: [])),
          .histograms([HistogramPlot(title: "h", counts: [1], range: 0...1)]),
        ]),
    ]
    let html = try ModelReport(title: "<m>", names: ["m"], sections: [.init("All", columns: [items])]).html()
    #expect(try names(html, "h1") == ["<m>"] && names(html, "h2") == ["All"] && names(html, "h3").isEmpty)
    #expect(try names(html, "p") == ["Model <Summary>", "some"])
    #expect(try names(html, "dd") == ["3"] && names(html, "td") == ["<C>", "a&b", "a&b"])
    #expect(try names(html, "summary") == ["More"] && names(html, "svg").count == 3)
    // Nothing is fetched and nothing runs.
    #expect(!html.contains("<script") && !html.contains("<link") && !html.contains("url(") && !html.contains("src="))
    let folder = try TemporaryFolder()
    let report = ModelReport(title: "<m>", names: ["m"], sections: [.init("All", columns: [items])])
    #expect(try report.write(to: folder["r.html"]) == html.utf8.count && text(folder["r.html"]) == html)
  }

  @Test func columns() throws {
    let section = ModelReport.Section("Both", common: [.text("of both")], columns: [[.text("one")], [.text("two")]])
    let html = try ModelReport(title: "t", names: ["<a>", "b"], sections: [section]).html()
    #expect(try names(html, "h3") == ["<a>", "b"] && names(html, "p") == ["of both", "one", "two"])
  }

  @Test func emptyPartsAreLeftOut() throws {
    let empty: [ModelReport.Item] = [
      .figures([]), .entries([]), .histograms([]), .table(.init(title: "", columns: [], rows: [])),
      .folded(.init(title: "", columns: [], rows: [])),
    ]
    for section in [ModelReport.Section("none"), .init("none", columns: [[]]), .init("none", common: empty)] {
      #expect(try names(ModelReport(title: "t", names: [], sections: [section]).html(), "h2").isEmpty)
    }
  }

  @Test func tooLarge() throws {
    let row = [String](repeating: String(repeating: "&", count: 500), count: 10)
    let table = ModelReport.Table(
      title: "Rows", columns: row, rows: [[String]](repeating: row, count: 100))
    let html = try ModelReport(title: "t", names: ["m"], sections: [.init("s", columns: [[.folded(table)]])]).html()
    #expect(html.utf8.count < 100_000 && html.contains("<p>Rows: left out, for the size of the page.</p>"))
    #expect(
      refusal {
        _ = try ModelReport(title: "t", names: ["m"], sections: [.init("s", columns: [[.table(table)]])]).html()
      }
        == "the page would have more than 2000000 bytes")
  }
}
